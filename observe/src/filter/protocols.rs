//! What a protocol word means: alone (`icmp`), before `proto`, and before `[`.

use wire::ethertype::{ARP, IPV4, IPV6};
use wire::ipv4::protocol::{ICMP, SCTP, TCP, UDP};

use super::ast::{At, Expr, Is, Size, Test};
use super::layers::{Layers, sap};

const RARP: u16 = 0x8035;
const IPV6_FRAGMENT: u32 = 44;
const ISIS: u8 = 0x83;

/// A protocol word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proto {
    Link,
    /// What a frame carries, by EtherType or LLC's access point.
    Ether(u16),
    Iso,
    /// A protocol of ISO's.
    Osi(u8),
    /// IS-IS, of these types of packet.
    IsisTypes(&'static [u8]),
    /// What IP carries.
    Ip(Families, u8),
}

/// In which IP a protocol is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Families {
    V4,
    V6,
    Any,
}

pub(super) const IP: Proto = Proto::Ether(IPV4);
pub(super) const IP6: Proto = Proto::Ether(IPV6);
pub(super) const ARP_: Proto = Proto::Ether(ARP);
pub(super) const RARP_: Proto = Proto::Ether(RARP);
pub(super) const TCP_: Proto = Proto::Ip(Families::Any, TCP);
pub(super) const UDP_: Proto = Proto::Ip(Families::Any, UDP);
pub(super) const SCTP_: Proto = Proto::Ip(Families::Any, SCTP);
const ICMP6: Proto = Proto::Ip(Families::V6, 58);

/// Protocol words, in the order of the language's manual.
pub(super) const PROTOS: &[(&str, Proto)] = &[
    ("ether", Proto::Link),
    ("link", Proto::Link),
    ("ip", IP),
    ("ip6", IP6),
    ("arp", ARP_),
    ("rarp", RARP_),
    ("tcp", TCP_),
    ("udp", UDP_),
    ("sctp", SCTP_),
    ("icmp", Proto::Ip(Families::V4, ICMP)),
    ("icmp6", ICMP6),
    ("igmp", Proto::Ip(Families::V4, 2)),
    ("igrp", Proto::Ip(Families::V4, 9)),
    ("pim", Proto::Ip(Families::Any, 103)),
    ("vrrp", Proto::Ip(Families::V4, 112)),
    ("carp", Proto::Ip(Families::V4, 112)),
    ("ah", Proto::Ip(Families::Any, 51)),
    ("esp", Proto::Ip(Families::Any, 50)),
    ("stp", Proto::Ether(sap::STP)),
    ("ipx", Proto::Ether(sap::IPX)),
    ("netbeui", Proto::Ether(sap::NETBEUI)),
    ("atalk", Proto::Ether(0x809b)),
    ("aarp", Proto::Ether(0x80f3)),
    ("decnet", Proto::Ether(0x6003)),
    ("lat", Proto::Ether(0x6004)),
    ("sca", Proto::Ether(0x6007)),
    ("moprc", Proto::Ether(0x6002)),
    ("mopdl", Proto::Ether(0x6001)),
    ("iso", Proto::Iso),
    ("clnp", Proto::Osi(0x81)),
    ("esis", Proto::Osi(0x82)),
    ("es-is", Proto::Osi(0x82)),
    ("isis", Proto::Osi(ISIS)),
    ("is-is", Proto::Osi(ISIS)),
    ("l1", Proto::IsisTypes(&[15, 17, 18, 24, 26])),
    ("l2", Proto::IsisTypes(&[16, 17, 20, 25, 27])),
    ("iih", Proto::IsisTypes(&[15, 16, 17])),
    ("lsp", Proto::IsisTypes(&[18, 20])),
    ("snp", Proto::IsisTypes(&[24, 25, 26, 27])),
    ("csnp", Proto::IsisTypes(&[24, 25])),
    ("psnp", Proto::IsisTypes(&[26, 27])),
    ("fddi", Proto::Link),
    ("tr", Proto::Link),
    ("wlan", Proto::Link),
    ("ppp", Proto::Link),
    ("slip", Proto::Link),
];

/// A protocol by its word.
pub(super) fn named(word: &str) -> Option<Proto> {
    PROTOS.iter().find(|(name, _)| *name == word).map(|(_, proto)| *proto)
}

impl Proto {
    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        PROTOS.iter().find(|(_, proto)| *proto == self).map_or("", |(word, _)| *word)
    }

    /// The word on its own.
    pub(super) fn alone(self, layers: &Layers) -> Result<Expr, String> {
        match self {
            Self::Link => Err("`ether` wants `host`, `src`, `dst` or `proto` behind it".into()),
            Self::Ether(kind) => layers.carries(kind),
            Self::Iso => layers.carries(sap::ISO),
            Self::Osi(number) => iso(layers, number),
            Self::IsisTypes(types) => {
                let mut any = isis(layers, types[0])?;
                for number in &types[1..] {
                    any = any.or(isis(layers, *number)?);
                }
                Ok(any)
            }
            Self::Ip(families, number) => ip(layers, families, number),
        }
    }

    /// Where `[0]` is, and what has to hold before it is looked at, around `inner`, which has to
    /// hold for the index.
    pub(super) fn bytes(
        self,
        layers: &Layers,
        inner: Option<Expr>,
    ) -> Result<(At, Option<Expr>), String> {
        let with = |inner: Option<Expr>, next: Expr| match inner {
            Some(inner) => inner.and(next),
            None => next,
        };
        match self {
            Self::Link => Ok((At::Frame(layers.link()), inner)),
            ICMP6 => {
                let first = with(inner, layers.carries(IPV6)?);
                let next = Expr::equal(layers.net() + 6, Size::One, 58);
                Ok((At::Frame(layers.net() + 40), Some(first.and(next))))
            }
            Self::Ip(_, 50 | 51) | Self::Iso | Self::Osi(_) | Self::IsisTypes(_) => {
                Err(self.without_bytes())
            }
            Self::Ether(kind) if kind <= 0xff => Err(self.without_bytes()),
            Self::Ether(0x80f3) => Err(self.without_bytes()),
            Self::Ether(kind) => {
                Ok((At::Frame(layers.net()), Some(with(inner, layers.carries(kind)?))))
            }
            Self::Ip(..) => {
                // Only the first fragment has the header that is meant (RFC 791).
                let whole = self.alone(layers)?.and(first_fragment(layers));
                let test = layers.carries(IPV4)?.and(with(inner, whole));
                Ok((At::Behind { net: layers.net(), offset: 0 }, Some(test)))
            }
        }
    }

    fn without_bytes(self) -> String {
        let word = self.word();
        format!("bytes of `{word}` cannot be asked for: count from `ether[…]` or `ip[…]`")
    }

    /// `proto NUMBER` behind this word.
    pub(super) fn carrying(
        proto: Option<Self>,
        layers: &Layers,
        number: u32,
    ) -> Result<Expr, String> {
        let byte =
            || u8::try_from(number).map_err(|_| format!("`{number}` is no protocol: 0 to 255"));
        match proto {
            None => ip(layers, Families::Any, byte()?),
            Some(IP) => ip(layers, Families::V4, byte()?),
            Some(IP6) => ip(layers, Families::V6, byte()?),
            Some(Self::Link) => {
                let kind = u16::try_from(number);
                layers.carries(kind.map_err(|_| format!("`{number}` is no EtherType: 0 to 65535"))?)
            }
            Some(Self::Iso) => iso(layers, byte()?),
            Some(Self::Osi(ISIS)) => isis(layers, byte()?),
            Some(_) => Err("`proto` goes with ether, ip, ip6 or iso".into()),
        }
    }

    /// `protochain NUMBER` behind this word.
    pub(super) fn leading_to(
        proto: Option<Self>,
        layers: &Layers,
        number: u32,
    ) -> Result<Expr, String> {
        let number = u8::try_from(number).map_err(|_| format!("`{number}` is no protocol"))?;
        let chain = |v6: bool| Expr::Test(Test::Chain { v6, net: layers.net(), number });
        let v4 = || Ok::<_, String>(layers.carries(IPV4)?.and(chain(false)));
        let v6 = || Ok::<_, String>(layers.carries(IPV6)?.and(chain(true)));
        match proto {
            None => Ok(v4()?.or(v6()?)),
            Some(IP) => v4(),
            Some(IP6) => v6(),
            Some(_) => Err("`protochain` goes with ip or ip6".into()),
        }
    }
}

/// IPv4 that is no later fragment.
pub(super) fn first_fragment(layers: &Layers) -> Expr {
    Expr::masked(layers.net() + 6, Size::Two, 0, 0x1fff)
}

fn ip(layers: &Layers, families: Families, number: u8) -> Result<Expr, String> {
    let number = u32::from(number);
    let net = layers.net();
    let v4 = || Ok::<_, String>(layers.carries(IPV4)?.and(Expr::equal(net + 9, Size::One, number)));
    // libpcap looks at the next header, and behind a fragment header, no further.
    let v6 = || {
        let direct = Expr::equal(net + 6, Size::One, number);
        let fragment = Expr::equal(net + 6, Size::One, IPV6_FRAGMENT);
        let behind = fragment.and(Expr::equal(net + 40, Size::One, number));
        Ok::<_, String>(layers.carries(IPV6)?.and(direct.or(behind)))
    };
    match families {
        Families::V4 => v4(),
        Families::V6 => v6(),
        Families::Any => Ok(v4()?.or(v6()?)),
    }
}

fn iso(layers: &Layers, number: u8) -> Result<Expr, String> {
    let first = Expr::equal(layers.behind_llc(), Size::One, u32::from(number));
    Ok(layers.carries(sap::ISO)?.and(first))
}

fn isis(layers: &Layers, kind: u8) -> Result<Expr, String> {
    let of = Expr::equal(layers.behind_llc() + 4, Size::One, u32::from(kind));
    Ok(iso(layers, ISIS)?.and(of))
}

/// `multicast` behind a protocol word, or alone.
pub(super) fn multicast(proto: Option<Proto>, layers: &Layers) -> Result<Expr, String> {
    let net = layers.net();
    match proto {
        None | Some(Proto::Link) => Ok(Expr::masked(layers.ethernet()?, Size::One, 0, 1).not()),
        Some(IP) => {
            let group = Expr::field(At::Frame(net + 16), Size::One, u32::MAX, Is::AtLeast, 224);
            Ok(layers.carries(IPV4)?.and(group))
        }
        Some(IP6) => Ok(layers.carries(IPV6)?.and(Expr::equal(net + 24, Size::One, 255))),
        Some(_) => Err("`multicast` goes with ether, ip or ip6".into()),
    }
}
