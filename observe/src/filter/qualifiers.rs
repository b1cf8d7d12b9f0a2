//! What the words before an identifier mean for it: `src host 10.100.0.10`, `tcp port 80`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::MacAddr;
use wire::ethertype::{ARP, IPV4, IPV6};
use wire::ipv4::protocol::{ICMP, SCTP, TCP, UDP};

use super::Names;
use super::ast::{Dir, Families, Test, V4In};

const RARP: u16 = 0x8035;
const ICMP6: u8 = 58;

/// Which header an identifier is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proto {
    Ether,
    Ip,
    Ip6,
    Arp,
    Rarp,
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Icmp6,
}

/// What kind of identifier follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
}

/// The words before an identifier.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Qualifiers {
    pub(super) proto: Option<Proto>,
    pub(super) dir: Option<Dir>,
    pub(super) kind: Option<Kind>,
}

/// Protocol words, in the order of the language's manual.
pub(super) const PROTOS: &[(&str, Proto)] = &[
    ("ether", Proto::Ether),
    ("ip", Proto::Ip),
    ("ip6", Proto::Ip6),
    ("arp", Proto::Arp),
    ("rarp", Proto::Rarp),
    ("tcp", Proto::Tcp),
    ("udp", Proto::Udp),
    ("sctp", Proto::Sctp),
    ("icmp", Proto::Icmp),
    ("icmp6", Proto::Icmp6),
];

/// Words for the kind of identifier.
pub(super) const KINDS: &[(&str, Kind)] = &[
    ("host", Kind::Host),
    ("net", Kind::Net),
    ("port", Kind::Port),
    ("portrange", Kind::PortRange),
    ("proto", Kind::Proto),
];

/// Services people name instead of a number (IANA).
const SERVICES: &[(&str, u16)] = &[
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("http", 80),
    ("ntp", 123),
    ("snmp", 161),
    ("ldap", 389),
    ("https", 443),
    ("syslog", 514),
    ("mdns", 5353),
];

/// A protocol word on its own.
pub(super) fn alone(proto: Proto) -> Option<Test> {
    let any = |number| Some(Test::Protocol(Families::Any, number));
    match proto {
        Proto::Ether => None,
        Proto::Ip => Some(Test::EtherType(IPV4)),
        Proto::Ip6 => Some(Test::EtherType(IPV6)),
        Proto::Arp => Some(Test::EtherType(ARP)),
        Proto::Rarp => Some(Test::EtherType(RARP)),
        Proto::Tcp => any(TCP),
        Proto::Udp => any(UDP),
        Proto::Sctp => any(SCTP),
        Proto::Icmp => Some(Test::Protocol(Families::V4, ICMP)),
        Proto::Icmp6 => Some(Test::Protocol(Families::V6, ICMP6)),
    }
}

impl Qualifiers {
    /// The test for `id`; `mask` is what followed the word `mask`.
    pub(super) fn test(
        &self,
        id: &str,
        mask: Option<Ipv4Addr>,
        names: Names<'_>,
    ) -> Result<Test, String> {
        match self.kind.unwrap_or(Kind::Host) {
            Kind::Host => self.host(id, names),
            Kind::Net => self.net(id, mask),
            Kind::Port => self.ports(port(id)?, port(id)?),
            Kind::PortRange => {
                let (low, high) =
                    id.split_once('-').ok_or(format!("`{id}` is no range: write 6000-6010"))?;
                let (low, high) = (port(low)?, port(high)?);
                self.ports(low.min(high), low.max(high))
            }
            Kind::Proto => self.protocol(id),
        }
    }

    fn dir(&self) -> Dir {
        self.dir.unwrap_or(Dir::Either)
    }

    /// Where an IPv4 address is looked for; an error where the protocol has no addresses.
    fn v4_place(&self) -> Result<V4In, String> {
        match self.proto {
            None => Ok(V4In::All),
            Some(Proto::Ip) => Ok(V4In::Ip),
            Some(Proto::Arp) => Ok(V4In::Arp),
            Some(Proto::Rarp) => Ok(V4In::Rarp),
            Some(Proto::Ip6) => Err("an IPv4 address cannot stand in an IPv6 header".into()),
            Some(Proto::Ether) => {
                Err("`ether` wants a MAC address, such as 02:00:00:00:00:01".into())
            }
            Some(proto) => {
                let word = PROTOS.iter().find(|(_, p)| *p == proto).map_or("", |(word, _)| *word);
                Err(format!("`{word}` has no addresses: write `{word} and host …`"))
            }
        }
    }

    fn host(&self, id: &str, names: Names<'_>) -> Result<Test, String> {
        if let Ok(mac) = id.parse::<MacAddr>() {
            return match self.proto {
                Some(Proto::Ether) => Ok(Test::EtherHost(self.dir(), mac)),
                _ => Err(format!("`{id}` is a MAC address: write `ether host {id}`")),
            };
        }
        let addr = match id.parse::<IpAddr>() {
            Ok(addr) => Some(addr),
            Err(_) => names(id),
        };
        match addr {
            Some(IpAddr::V4(addr)) => Ok(Test::V4(self.dir(), self.v4_place()?, addr, u32::MAX)),
            Some(IpAddr::V6(addr)) => self.v6(addr, u128::MAX),
            None if id.parse::<u64>().is_ok() => {
                Err(format!("`{id}` is no address: for a port write `port {id}`"))
            }
            None => Err(format!("`{id}` is neither an address nor a node of the lab")),
        }
    }

    fn v6(&self, addr: Ipv6Addr, mask: u128) -> Result<Test, String> {
        match self.proto {
            None | Some(Proto::Ip6) => Ok(Test::V6(self.dir(), addr, mask)),
            Some(_) => Err("an IPv6 address goes with `ip6` or with no protocol".into()),
        }
    }

    fn net(&self, id: &str, mask: Option<Ipv4Addr>) -> Result<Test, String> {
        let (addr, len) = match id.split_once('/') {
            Some((addr, len)) => {
                let len: u8 = len.parse().map_err(|_| format!("`{len}` is no prefix length"))?;
                (addr, Some(len))
            }
            None => (id, None),
        };
        if let Ok(addr) = addr.parse::<Ipv6Addr>() {
            let len = len.unwrap_or(128);
            let mask =
                prefix(128, len).ok_or(format!("an IPv6 prefix is at most 128, not {len}"))?;
            if u128::from(addr) & !mask != 0 {
                return Err(format!("`{id}` has bits set behind its prefix"));
            }
            return self.v6(addr, mask);
        }
        let (addr, own) =
            partial_v4(addr).ok_or(format!("`{id}` is no network: write 10.100.0.0/16"))?;
        let mask = match (mask, len) {
            (Some(mask), _) => u32::from(mask),
            (None, len) => {
                let len = len.unwrap_or(own);
                let bits = prefix(32, len).ok_or(format!("a prefix is at most 32, not {len}"))?;
                u32::try_from(bits).unwrap_or(u32::MAX)
            }
        };
        if u32::from(addr) & !mask != 0 {
            return Err(format!("`{id}` has bits set behind its prefix"));
        }
        Ok(Test::V4(self.dir(), self.v4_place()?, addr, mask))
    }

    fn ports(&self, low: u16, high: u16) -> Result<Test, String> {
        let protocols: &'static [u8] = match self.proto {
            None => &[TCP, UDP, SCTP],
            Some(Proto::Tcp) => &[TCP],
            Some(Proto::Udp) => &[UDP],
            Some(Proto::Sctp) => &[SCTP],
            Some(_) => return Err("only tcp, udp and sctp have ports".into()),
        };
        Ok(Test::Ports(self.dir(), protocols, low, high))
    }

    fn protocol(&self, id: &str) -> Result<Test, String> {
        if self.dir.is_some() {
            return Err("a protocol has no source or destination".into());
        }
        let id = id.trim_start_matches('\\');
        let named = PROTOS.iter().find(|(word, _)| *word == id).map(|(_, proto)| *proto);
        let families = match self.proto {
            None => Families::Any,
            Some(Proto::Ip) => Families::V4,
            Some(Proto::Ip6) => Families::V6,
            Some(Proto::Ether) => {
                return match (named.and_then(alone), number(id)) {
                    (Some(Test::EtherType(kind)), _) => Ok(Test::EtherType(kind)),
                    (_, Some(kind)) => Ok(Test::EtherType(kind)),
                    _ => Err(format!("`{id}` is no EtherType: write ip, ip6, arp or a number")),
                };
            }
            Some(_) => return Err("`proto` goes with ether, ip or ip6".into()),
        };
        match (named.and_then(alone), number(id)) {
            (Some(Test::Protocol(_, number)), _) => Ok(Test::Protocol(families, number)),
            (_, Some(number)) if u8::try_from(number).is_ok() => {
                Ok(Test::Protocol(families, u8::try_from(number).unwrap_or_default()))
            }
            _ => Err(format!("`{id}` is no protocol: write tcp, udp, icmp or a number up to 255")),
        }
    }
}

fn port(id: &str) -> Result<u16, String> {
    let service = SERVICES.iter().find(|(name, _)| *name == id).map(|(_, port)| *port);
    match service.or_else(|| number(id)) {
        Some(port) => Ok(port),
        None if id.contains('-') => Err(format!("`{id}` is a range: write `portrange {id}`")),
        None => Err(format!("`{id}` is no port: a number up to 65535 or a service such as http")),
    }
}

/// Decimal or 0x hexadecimal.
pub(super) fn number(id: &str) -> Option<u16> {
    match id.strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16).ok(),
        None => id.parse().ok(),
    }
}

/// `10`, `10.100`, `10.100.0` and whole addresses, with the length their octets imply.
fn partial_v4(text: &str) -> Option<(Ipv4Addr, u8)> {
    let mut octets = [0u8; 4];
    let mut len = 0u8;
    for part in text.split('.') {
        *octets.get_mut(usize::from(len / 8))? = part.parse().ok()?;
        len += 8;
    }
    Some((octets.into(), len))
}

/// The mask of a prefix of `len` bits of `width`.
fn prefix(width: u8, len: u8) -> Option<u128> {
    let ones = if width == 128 { u128::MAX } else { (1 << width) - 1 };
    let host = width.checked_sub(len)?;
    Some(ones & !(1u128.checked_shl(u32::from(host)).map_or(u128::MAX, |bit| bit - 1)))
}
