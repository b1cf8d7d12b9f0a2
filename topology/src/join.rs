//! Other hosts that a network of the lab reaches: all of them named, or known by a registry. Written as
//! `vtep://ADDRESS[,ADDRESS…]?vni=N[&port=N][&network=NAME][&local=ADDRESS]`, or as
//! `etcd://ADDRESS[:PORT][,…]/NET[?vni=N][&port=N][&network=NAME]`, or `etcds://…` where the members
//! speak TLS, or, by BGP ([`bgp`]), as
//! `bgp://ADDRESS[:PORT]/NET?vni=N[&port=N][&network=NAME][&rt=ASN:N]`. Addresses of IPv6 may stand in
//! brackets.

mod access;
pub mod bgp;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::invalid::Invalid;

pub use self::access::Access;
pub use bgp::Bgp;

const VTEP: &str = "vtep://ADDRESS[,ADDRESS…]?vni=N[&port=N][&network=NAME]";
const ETCD: &str =
    "etcd://ADDRESS[:PORT][,ADDRESS…]/NET[?vni=N][&port=N][&network=NAME] (etcds:// by TLS)";
/// etcd's port for clients (IANA).
const CLIENTS: u16 = 2379;
/// The largest number of a network, 24 bits.
const LARGEST: u32 = (1 << 24) - 1;

/// Other hosts to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Join {
    /// These.
    Named(Tunnel),
    /// Those that etcd knows.
    Etcd(Etcd),
    /// Those that BGP tells of.
    Bgp(Bgp),
}

/// A tunnel to hosts that are named: VXLAN (RFC 7348).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// The number of its network outside, 1 to 16777215.
    pub vni: u32,
    /// The other hosts' addresses.
    pub remotes: Vec<IpAddr>,
    /// This host's own address that it sends from; without one, that by which the first is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<IpAddr>,
    /// The network here that it joins; without one, the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The UDP port of all ends (4789).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// A network in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etcd {
    /// The members of its cluster.
    pub members: Vec<SocketAddr>,
    /// How they let this host in.
    pub access: Access,
    /// What the network is called there.
    pub name: String,
    /// Its number outside; None for what it has, or its usual one.
    pub vni: Option<u32>,
    /// The UDP port of all ends; None for 4789.
    pub port: Option<u16>,
    /// The network here; None for the first.
    pub network: Option<String>,
}

impl Join {
    /// The network here that it joins; None for the first.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        match self {
            Self::Named(tunnel) => tunnel.network.as_deref(),
            Self::Etcd(etcd) => etcd.network.as_deref(),
            Self::Bgp(bgp) => bgp.network.as_deref(),
        }
    }

    fn target(&self) -> Option<bgp::Target> {
        if let Self::Bgp(bgp) = self { bgp.target } else { None }
    }

    /// A host that is to be reached from this one's own end.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        match self {
            Self::Named(tunnel) => tunnel.remotes.first().copied().unwrap_or(none),
            Self::Etcd(etcd) => etcd.members.first().map_or(none, SocketAddr::ip),
            Self::Bgp(bgp) => bgp.speaker.ip(),
        }
    }
}

impl Tunnel {
    /// Two of its ends, one of IPv4 and one of IPv6.
    #[must_use]
    pub fn mixed(&self) -> Option<(IpAddr, IpAddr)> {
        let first = self.remotes.first().or(self.local.as_ref())?;
        let all = self.remotes.iter().chain(&self.local);
        let other = all.into_iter().find(|end| end.is_ipv4() != first.is_ipv4())?;
        Some((*first, *other))
    }
}

impl FromStr for Join {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let read = match text.split_once("://") {
            Some((_, rest)) if access::has_password(rest) => Err(access::hidden()),
            Some(("vtep", rest)) => named(rest).map(Self::Named),
            Some((scheme @ ("etcd" | "etcds"), rest)) => {
                etcd(scheme == "etcds", rest).map(Self::Etcd)
            }
            Some(("bgp", rest)) => bgp::read(rest).map(Self::Bgp),
            _ => Err(format!("{text:?} is neither {VTEP} nor {ETCD} nor {}", bgp::BGP)),
        };
        read.map_err(Invalid)
    }
}

impl fmt::Display for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (vni, port, network, local) = match self {
            Self::Named(tunnel) => {
                let hosts: Vec<_> = tunnel.remotes.iter().map(bracketed).collect();
                write!(f, "vtep://{}", hosts.join(","))?;
                (Some(tunnel.vni), tunnel.port, &tunnel.network, tunnel.local)
            }
            Self::Etcd(etcd) => {
                let member = |member: &SocketAddr| match member {
                    own if own.port() == CLIENTS => bracketed(&own.ip()),
                    other => other.to_string(),
                };
                let hosts: Vec<_> = etcd.members.iter().map(member).collect();
                let scheme = if etcd.access.tls { "etcds" } else { "etcd" };
                write!(f, "{scheme}://{}/{}", hosts.join(","), etcd.name)?;
                (etcd.vni, etcd.port, &etcd.network, None)
            }
            Self::Bgp(bgp) => {
                f.write_str(&bgp::place(bgp))?;
                (Some(bgp.vni), bgp.port, &bgp.network, None)
            }
        };
        let words = [
            vni.map(|vni| format!("vni={vni}")),
            port.map(|port| format!("port={port}")),
            network.as_ref().map(|network| format!("network={network}")),
            local.map(|local| format!("local={local}")),
            self.target().map(|target| format!("rt={target}")),
        ];
        let access = match self {
            Self::Named(_) | Self::Bgp(_) => Vec::new(),
            Self::Etcd(etcd) => etcd.access.words(),
        };
        let words: Vec<_> = words.into_iter().chain(access).flatten().collect();
        let mark = if words.is_empty() { "" } else { "?" };
        write!(f, "{mark}{}", words.join("&"))
    }
}

impl Serialize for Join {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Join {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether an address may be a host's end of a tunnel.
#[must_use]
pub fn is_host(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    // One of the link alone is none without the link; one of IPv4 is written as such.
    let strange = matches!(address, IpAddr::V6(address)
        if address.is_unicast_link_local() || address.to_ipv4_mapped().is_some());
    let own = address.is_unspecified() || address.is_loopback();
    !own && !address.is_multicast() && !broadcast && !strange
}

fn named(rest: &str) -> Result<Tunnel, String> {
    let (hosts, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut remotes = Vec::new();
    for host in hosts.split(',') {
        let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let address = plain.parse().map_err(|_| format!("{host:?} is no address: {VTEP}"))?;
        if remotes.contains(&address) {
            return Err(format!("host {host} twice: {VTEP}"));
        }
        remotes.push(address);
    }
    let Query { vni, port, network, local } = Query::read(query, VTEP)?;
    let vni = vni.ok_or_else(|| format!("which network? ?vni=N is missing: {VTEP}"))?;
    Ok(Tunnel { vni, remotes, local, network, port })
}

/// An address as it stands in a URL.
fn bracketed(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(own) => own.to_string(),
        IpAddr::V6(own) => format!("[{own}]"),
    }
}

fn etcd(tls: bool, rest: &str) -> Result<Etcd, String> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
    if name.is_empty() {
        return Err(format!("which network? /NET is missing: {ETCD}"));
    }
    let mut members = Vec::new();
    for host in hosts.split(',') {
        let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let alone = plain.parse().map(|address: IpAddr| SocketAddr::new(address, CLIENTS));
        let member = alone.or_else(|_| host.parse());
        let member = member.map_err(|_| format!("{host:?} is no address: {ETCD}"))?;
        if members.contains(&member) {
            return Err(format!("member {host} twice: {ETCD}"));
        }
        members.push(member);
    }
    let (access, query) = Access::read(tls, query, members.len())?;
    let Query { vni, port, network, local } = Query::read(&query, ETCD)?;
    if local.is_some() {
        return Err(format!("this host's own address is its own: `--vtep`, not in {ETCD}"));
    }
    Ok(Etcd { members, access, name: name.into(), vni, port, network })
}

/// What stands behind the question mark.
#[derive(Default)]
struct Query {
    vni: Option<u32>,
    port: Option<u16>,
    network: Option<String>,
    local: Option<IpAddr>,
}

impl Query {
    fn read(query: &str, form: &str) -> Result<Self, String> {
        let (mut read, mut seen) = (Self::default(), BTreeSet::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = |what: &str| format!("{value:?} is no {what}");
            if !seen.insert(key) {
                return Err(format!("{key} twice: {form}"));
            }
            match key {
                "vni" => {
                    let vni = value.parse().ok().filter(|vni| (1..=LARGEST).contains(vni));
                    read.vni = Some(vni.ok_or_else(|| number("VNI: 1 to 16777215"))?);
                }
                "port" => {
                    let port = value.parse().ok().filter(|port| *port > 0);
                    read.port = Some(port.ok_or_else(|| number("port: 1 to 65535"))?);
                }
                "network" => read.network = Some(value.into()),
                "local" => {
                    let local = value.parse().map_err(|_| number("address"))?;
                    read.local = Some(local);
                }
                _ => return Err(format!("{key:?} is none of vni, port, network: {form}")),
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn hosts_and_the_network_are_read_and_written() {
        for text in [
            "vtep://10.0.0.2,10.0.0.3?vni=100&port=8472&network=dmz&local=10.0.0.1",
            "vtep://10.0.0.2?vni=1",
            "vtep://[fd00::2],[fd00::3]?vni=100&local=fd00::1",
            "etcd://10.0.0.2,[fd00::1],10.0.0.3:2380,[fd00::2]:2381/prod?vni=7&network=dmz",
            "etcd://10.0.0.2/prod",
        ] {
            assert_eq!(text.parse::<Join>().unwrap().to_string(), text);
        }
        let Join::Named(ask) = "vtep://10.0.0.2,10.0.0.3?vni=100&port=8472".parse().unwrap() else {
            panic!()
        };
        assert_eq!(ask.remotes, [IpAddr::from([10, 0, 0, 2]), [10, 0, 0, 3].into()]);
        assert_eq!((ask.vni, ask.port, ask.local), (100, Some(8472), None));
        let Join::Etcd(ask) = "etcd://10.0.0.2,[fd00::1],10.0.0.3:2380/prod".parse().unwrap()
        else {
            panic!()
        };
        let members: Vec<_> = ask.members.iter().map(ToString::to_string).collect();
        assert_eq!(members, ["10.0.0.2:2379", "[fd00::1]:2379", "10.0.0.3:2380"]);
        assert_eq!((ask.name.as_str(), ask.vni), ("prod", None));
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, says) in [
            ("10.0.0.2", "is neither vtep://"),
            ("etcd://10.0.0.2", "/NET is missing"),
            ("etcd://10.0.0.2/?vni=1", "/NET is missing"),
            ("etcd://host/net", "no address"),
            ("etcd://10.0.0.2:x/net", "no address"),
            ("etcd://10.0.0.2/net?vin=1", "none of vni"),
            ("etcd://10.0.0.2/net?local=10.0.0.1", "`--vtep`"),
            ("vtep://10.0.0.2", "vni=N is missing"),
            ("vtep://host?vni=1", "no address"),
            ("vtep://10.0.0.2?vni=1&local=x", "no address"),
            ("etcd://10.0.0.2/net?vni=100&vni=101", "vni twice"),
            ("vtep://10.0.0.2?vni=100&port=1&port=1", "port twice"),
            ("etcd://10.0.0.2,10.0.0.3,10.0.0.2:2379/net", "member 10.0.0.2:2379 twice"),
            ("vtep://10.0.0.2,10.0.0.2?vni=1", "host 10.0.0.2 twice"),
            ("etcd://10.0.0.2/net?vni=0", "no VNI: 1 to"),
            ("etcd://10.0.0.2/net?vni=16777216", "no VNI: 1 to"),
            ("etcd://10.0.0.2/net?port=0", "no port: 1 to"),
            ("vtep://10.0.0.2?vni=x", "no VNI"),
            ("vtep://10.0.0.2?vin=1", "none of vni"),
        ] {
            let said = text.parse::<Join>().unwrap_err().to_string();
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
