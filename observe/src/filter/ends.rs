//! Who a packet is from and to: what `src host 10.100.0.10`, `net 10.100.0.0/16` and `tcp port 80`
//! ask of a frame.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::MacAddr;
use wire::ethertype::{IPV4, IPV6};
use wire::ipv4::protocol::{SCTP, TCP, UDP};

use super::ast::{At, Dir, Expr, Is, Size};
use super::layers::Layers;
use super::numbers::{self, Over};
use super::protocols::{ARP_, IP, IP6, Proto, RARP_, SCTP_, TCP_, UDP_, first_fragment};

/// The protocol and the direction before an identifier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends<'a> {
    pub(super) layers: &'a Layers,
    pub(super) proto: Option<Proto>,
    pub(super) dir: Dir,
}

/// Ports and the protocols they are of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    low: u16,
    high: u16,
    over: Over,
}

impl Ends<'_> {
    pub(super) fn mac(&self, mac: MacAddr) -> Result<Expr, String> {
        if self.proto != Some(Proto::Link) {
            return Err(format!("`{mac}` is a MAC address: write `ether host {mac}`"));
        }
        let link = self.layers.ethernet()?;
        Ok(Expr::ends(self.dir, Expr::bytes(link + 6, &mac.0), Expr::bytes(link, &mac.0)))
    }

    /// An address with the bits of it that count.
    pub(super) fn address(&self, addr: IpAddr, prefix: u8) -> Result<Expr, String> {
        match addr {
            IpAddr::V4(addr) => self.v4(addr, mask4(prefix)),
            IpAddr::V6(addr) => self.v6(addr, prefix),
        }
    }

    pub(super) fn v4(&self, addr: Ipv4Addr, mask: u32) -> Result<Expr, String> {
        let within = |proto: Proto| {
            let (src, dst) = if proto == IP { (12, 16) } else { (14, 24) };
            let at =
                |offset| Expr::masked(self.layers.net() + offset, Size::Four, addr.to_bits(), mask);
            Ok::<_, String>(proto.alone(self.layers)?.and(Expr::ends(self.dir, at(src), at(dst))))
        };
        match self.proto {
            None if self.layers.labelled() => within(IP),
            None => Ok(within(IP)?.or(within(ARP_)?).or(within(RARP_)?)),
            Some(IP | ARP_ | RARP_) => within(self.proto.unwrap_or(IP)),
            Some(IP6) => Err("an IPv4 address cannot stand in an IPv6 header".into()),
            Some(proto) => Err(no_addresses(proto)),
        }
    }

    fn v6(&self, addr: Ipv6Addr, prefix: u8) -> Result<Expr, String> {
        match self.proto {
            None | Some(IP6) => {}
            Some(IP | ARP_ | RARP_) => {
                return Err("an IPv6 address goes with `ip6` or with no protocol".into());
            }
            Some(proto) => return Err(no_addresses(proto)),
        }
        let mask = u128::MAX.checked_shl(u32::from(128 - prefix.min(128))).unwrap_or(0);
        let at = |offset: usize| {
            let word = |n: usize| {
                let part = |bits: u128| u32::try_from(bits >> (96 - 32 * n) & 0xffff_ffff);
                let (value, mask) = (part(addr.to_bits()), part(mask));
                let place = self.layers.net() + offset + 4 * n;
                Expr::masked(place, Size::Four, value.unwrap_or(0), mask.unwrap_or(0))
            };
            word(0).and(word(1)).and(word(2)).and(word(3))
        };
        Ok(self.layers.carries(IPV6)?.and(Expr::ends(self.dir, at(8), at(24))))
    }

    pub(super) fn ports(&self, ports: Ports) -> Result<Expr, String> {
        let over: &[u8] = match (self.proto, ports.over) {
            (None, Over::Tcp) | (Some(TCP_), Over::Tcp | Over::Any) => &[TCP],
            (None, Over::Udp) | (Some(UDP_), Over::Udp | Over::Any) => &[UDP],
            (None, Over::Any) => &[SCTP, TCP, UDP],
            (Some(SCTP_), Over::Any) => &[SCTP],
            (Some(TCP_ | UDP_ | SCTP_), over) => {
                let over = if over == Over::Tcp { "tcp" } else { "udp" };
                return Err(format!("this service is spoken over {over}: write its number"));
            }
            (Some(_), _) => return Err("only tcp, udp and sctp have ports".into()),
        };
        let net = self.layers.net();
        let range = |at: At| {
            let field = |is, value: u16| Expr::field(at, Size::Two, u32::MAX, is, u32::from(value));
            if ports.low == ports.high {
                return field(Is::Equal, ports.low);
            }
            field(Is::AtLeast, ports.low).and(field(Is::Greater, ports.high).not())
        };
        let any = |at: usize, then: Option<Expr>, place: &dyn Fn(usize) -> At| {
            let one = |number: &u8| {
                let is = Expr::equal(at, Size::One, u32::from(*number));
                let ends = Expr::ends(self.dir, range(place(0)), range(place(2)));
                match &then {
                    Some(then) => is.and(then.clone()).and(ends),
                    None => is.and(ends),
                }
            };
            over.iter().map(one).reduce(Expr::or)
        };
        let v4 =
            any(net + 9, Some(first_fragment(self.layers)), &|offset| At::Behind { net, offset });
        let v6 = any(net + 6, None, &|offset| At::Frame(net + 40 + offset));
        let (Some(v4), Some(v6)) = (v4, v6) else { return Err("no protocol has ports".into()) };
        Ok(self.layers.carries(IPV4)?.and(v4).or(self.layers.carries(IPV6)?.and(v6)))
    }
}

fn no_addresses(proto: Proto) -> String {
    match proto {
        Proto::Link => "`ether` wants a MAC address, such as 02:00:00:00:00:01".into(),
        proto => {
            let word = proto.word();
            format!("`{word}` has no addresses: write `{word} and host …`")
        }
    }
}

impl Ports {
    pub(super) fn one(port: u16) -> Self {
        Self { low: port, high: port, over: Over::Any }
    }

    /// A port by its number or by its service's name.
    pub(super) fn named(word: &str) -> Result<Self, String> {
        if let Some((port, over)) = numbers::service(word) {
            return Ok(Self { low: port, high: port, over });
        }
        if word.contains('-') && Self::range(word).is_ok() {
            return Err(format!("`{word}` is a range: write `portrange {word}`"));
        }
        Err(format!("`{word}` is no port: a number up to 65535 or a service such as http"))
    }

    /// `6000-6010`.
    pub(super) fn range(word: &str) -> Result<Self, String> {
        let end = |word: &str| match word.parse() {
            Ok(port) => Ok(Self::one(port)),
            Err(_) => Self::named(word),
        };
        let (low, high) =
            word.split_once('-').ok_or(format!("`{word}` is no range: write 6000-6010"))?;
        let (one, two) = (end(low)?, end(high)?);
        let over = if one.over == two.over { one.over } else { Over::Any };
        Ok(Self { low: one.low.min(two.low), high: one.low.max(two.low), over })
    }
}

/// `10`, `10.100`, `10.100.0` and whole addresses, with the length their octets imply.
pub(super) fn partial_v4(text: &str) -> Option<(Ipv4Addr, u8)> {
    let mut octets = [0u8; 4];
    let mut len = 0u8;
    for part in text.split('.') {
        *octets.get_mut(usize::from(len / 8))? = part.parse().ok()?;
        len += 8;
    }
    Some((octets.into(), len))
}

/// The mask of so many bits.
pub(super) fn mask4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0)
}
