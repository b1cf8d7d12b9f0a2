//! What `explain` is asked about, and the frames it imagines. Pure, but for the names of nodes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use control::DoorError;
use control::api::ExplainAsk;
use gateway::Protocol;
use lab::{Interface, Lab, Node, Uplink, address, names};
use switch::Frame;
use wire::{IpProtocol, MacAddr};

use super::imagined::ICMPV6;

/// An imagined packet: as long as ping's, from a port as a kernel would choose it.
pub(super) const LENGTH: u16 = 84;
pub(super) const TTL: u8 = 64;
pub(super) const FROM_PORT: u16 = 40_000;
/// Protocols whose ports nobody here looks at: DCCP, SCTP, UDP-Lite.
const PORTED: [u8; 3] = [33, 132, 136];

/// An imagined packet in a line.
pub(super) fn summary(protocol: IpProtocol, from: IpAddr, (to, port): (IpAddr, u16)) -> String {
    let ported = |what: &str| {
        let [from, to] = [(from, FROM_PORT), (to, port)].map(SocketAddr::from);
        format!("{from} > {to} {what}")
    };
    let packet = match Protocol::of(protocol) {
        Some(Protocol::Tcp) => ported("tcp S"),
        Some(Protocol::Udp) => ported("udp"),
        Some(Protocol::Icmp) => format!("{from} > {to} icmp echo request"),
        None if is_ping6(protocol, to) => format!("{from} > {to} icmp6 echo request"),
        None => format!("{from} > {to} {protocol}"),
    };
    let hops = if to.is_ipv4() { "ttl" } else { "hlim" };
    format!("{packet} {hops} {TTL} length {}", length(to))
}

fn is_ping6(protocol: IpProtocol, to: IpAddr) -> bool {
    protocol.0 == ICMPV6 && to.is_ipv6()
}

pub(super) fn missing(lab: &Lab, nodes: &[Node], name: &str) -> DoorError {
    let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
    let (lab, names) = (&lab.config().name, names.join(", "));
    DoorError::NotFound(format!("lab {lab} has no node {name}; it has {names}"))
}

/// Where a packet goes, and the interface that is named for it (`fe80::1%vethpeer1`).
pub(super) struct Destination {
    pub(super) address: IpAddr,
    pub(super) by: Option<String>,
}

impl From<IpAddr> for Destination {
    fn from(address: IpAddr) -> Self {
        Self { address, by: None }
    }
}

/// Where a packet of `from` goes that is for `text`: an address, a node, or what else has a name there.
/// `gateway` is the gateway's address in the network of `from`.
pub(super) fn destination(
    lab: &Lab,
    (nodes, gateway): (&[Node], Option<Ipv4Addr>),
    from: Option<&Node>,
    text: &str,
) -> Result<Destination, DoorError> {
    if let Some(told) = address(text) {
        return told.map_err(DoorError::Invalid);
    }
    if text == names::GATEWAY {
        return gateway.map(|own| IpAddr::V4(own).into()).ok_or_else(|| {
            DoorError::NotFound(format!("the gateway has no address where {text} is asked for"))
        });
    }
    let sim = lab.with_spec(|spec| spec.uplink() == Uplink::Sim);
    match text {
        names::INET if sim => return Ok(IpAddr::V4(address::SIM_ROUTER).into()),
        names::INTERNET if sim => return Ok(IpAddr::V4(address::SIM_HOSTS[0]).into()),
        _ => {}
    }
    let node = nodes.iter().find(|node| node.name == text || node.file == text);
    let is_in = |node: Option<&Node>, network: &String| {
        let own = node.into_iter().flat_map(|node| &node.interfaces);
        own.into_iter().any(|own| own.network.as_ref() == Some(network))
    };
    // Each network may have one of that name: the one that is met first is meant.
    let mut remotes = lab.remotes();
    remotes.sort_by_key(|(network, _)| !is_in(from, network));
    let here = node.map(|node| from.is_none_or(|from| known_near(node, from)));
    let mut remotes = remotes.into_iter().filter(|(network, _)| match here {
        Some(near) => !near && is_in(from, network) && !is_in(node, network),
        None => true,
    });
    if let Some(remote) = remotes.find_map(|(_, mut nodes)| nodes.remove(text)) {
        let own = first(remote.ips.iter().copied());
        return own.map(Into::into).ok_or_else(|| no_address(lab, text));
    }
    let Some(node) = node else {
        return Err(match missing(lab, nodes, text) {
            DoorError::NotFound(line) => DoorError::NotFound(format!("{line}; no address either")),
            other => other,
        });
    };
    known_by(node, from).map(Into::into).ok_or_else(|| no_address(lab, text))
}

/// Whether two nodes are in one network.
fn known_near(node: &Node, from: &Node) -> bool {
    let mut own = node.interfaces.iter().filter_map(|own| own.network.as_ref());
    own.any(|own| from.interfaces.iter().any(|other| other.network.as_ref() == Some(own)))
}

/// The address that a node is known by to another: one in a network that both are in, where there is such
/// a network.
fn known_by(node: &Node, from: Option<&Node>) -> Option<IpAddr> {
    let meets = |own: &&Interface| {
        let theirs = from.into_iter().flat_map(|from| &from.interfaces);
        own.network.is_some() && theirs.into_iter().any(|other| other.network == own.network)
    };
    let of = |own: &'_ Interface| own.addresses.iter().map(|own| own.ip).collect::<Vec<_>>();
    let met: Vec<_> = node.interfaces.iter().filter(meets).flat_map(of).collect();
    let all: Vec<_> = node.interfaces.iter().flat_map(of).collect();
    first(met.into_iter()).or_else(|| first(all.into_iter()))
}

/// The address that somebody is known by: the first of IPv4, else the first.
fn first(all: impl Iterator<Item = IpAddr> + Clone) -> Option<IpAddr> {
    all.clone().find(IpAddr::is_ipv4).or_else(|| all.clone().next())
}

/// An address as it is written, perhaps with its interface; None for what is none.
fn address(text: &str) -> Option<Result<Destination, String>> {
    let (plain, by) = match text.split_once('%') {
        Some((plain, by)) => (plain, Some(by.to_owned())),
        None => (text, None),
    };
    let address: IpAddr = plain.parse().ok()?;
    let refused = match address {
        IpAddr::V4(own) if by.is_some() => {
            Some(format!("{own} is an address of IPv4, which has no interface: leave it out"))
        }
        IpAddr::V6(own) => own.to_ipv4_mapped().map(|v4| {
            format!("{own} stands for an address of IPv4, which packets carry as it is: {v4}")
        }),
        IpAddr::V4(_) => None,
    };
    Some(match refused {
        Some(line) => Err(line),
        None => Ok(Destination { address, by }),
    })
}

fn no_address(lab: &Lab, node: &str) -> DoorError {
    let lab = &lab.config().name;
    DoorError::Invalid(format!("node {node} of lab {lab} has no address to send to"))
}

/// What a packet to an address carries.
pub(super) fn protocol(ask: &ExplainAsk, to: IpAddr) -> Result<IpProtocol, DoorError> {
    let said = ask.protocol.as_deref().map(str::parse::<IpProtocol>).transpose();
    let said = said.map_err(|error| DoorError::Invalid(error.to_string()))?;
    let unsaid = if ask.port.is_some() { Protocol::Tcp } else { Protocol::Icmp };
    let protocol = said.unwrap_or_else(|| unsaid.into());
    let refused = match (Protocol::of(protocol), ask.port) {
        (Some(Protocol::Icmp), None) if to.is_ipv6() => return Ok(IpProtocol(ICMPV6)),
        (Some(Protocol::Tcp | Protocol::Udp), Some(1..)) => return Ok(protocol),
        (Some(Protocol::Icmp) | None, None) => return Ok(protocol),
        (Some(Protocol::Tcp | Protocol::Udp), _) => {
            format!("{protocol} needs a port from 1 to 65535: DEST:PORT/{protocol}")
        }
        (Some(Protocol::Icmp) | None, Some(_)) if PORTED.contains(&protocol.0) => {
            format!("{protocol} goes by its addresses alone here: leave the port out")
        }
        (Some(Protocol::Icmp) | None, Some(_)) => {
            format!("{protocol} has no ports: leave the port out")
        }
    };
    Err(DoorError::Invalid(refused))
}

/// The node that has an address, and its interface; one that is of a link alone, in this network.
pub(super) fn owner<'n>(
    nodes: &'n [Node],
    address: IpAddr,
    network: Option<&str>,
) -> Option<(&'n Node, &'n Interface)> {
    let is = |interface: &Interface| match address {
        IpAddr::V6(own) if own.is_unicast_link_local() => {
            interface.network.as_deref() == network
                && (interface.link_local() == own || interface.has(own))
        }
        _ => interface.has(address),
    };
    nodes.iter().find_map(|node| Some((node, node.interfaces.iter().find(|own| is(own))?)))
}

/// The hardware address of a group (RFC 1112 section 6.4, RFC 2464 section 7).
pub(super) fn multicast(group: IpAddr) -> MacAddr {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            MacAddr([1, 0, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            MacAddr([0x33, 0x33, a, b, c, d])
        }
    }
}

/// The group by which an address is asked for (RFC 4291, section 2.7.1).
pub(super) fn solicited(target: Ipv6Addr) -> Ipv6Addr {
    let low = target.to_bits() & 0x00ff_ffff;
    Ipv6Addr::from_bits(0xff02_0000_0000_0000_0000_0001_ff00_0000 | low)
}

/// How long the imagined packet to an address is: as ping's.
pub(super) fn length(to: IpAddr) -> u16 {
    if to.is_ipv4() { LENGTH } else { LENGTH + 20 }
}

pub(super) fn frame(dst: MacAddr, src: MacAddr, packet_len: u32) -> Frame {
    Frame::new(dst, src, None, packet_len)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses_are_read_with_their_interfaces() {
        let read = |text: &str| address(text).map(|told| told.map(|to| (to.address, to.by)));
        let at = |text: &str| text.parse::<IpAddr>().ok();
        for (text, plain, by) in [
            ("10.0.0.1", "10.0.0.1", None),
            ("fd00::2", "fd00::2", None),
            ("fe80::2%eth1", "fe80::2", Some("eth1".to_owned())),
        ] {
            assert_eq!(read(text), at(plain).map(|plain| Ok((plain, by))), "{text}");
        }
        for wrong in ["10.0.0.1%eth1", "::ffff:10.0.0.1"] {
            assert!(read(wrong).is_some_and(|told| told.is_err()), "{wrong}");
        }
        assert_eq!(read("net1"), None);
        let group = at("ff02::1:ff00:14").map(multicast);
        assert_eq!(group, Some(MacAddr([0x33, 0x33, 0xff, 0, 0, 0x14])));
    }

    #[test]
    fn a_packet_carries_what_is_asked_for() {
        let [v4, v6] = ["10.0.0.2", "fd00::2"].map(|to| to.parse::<IpAddr>().unwrap());
        let asked = |protocol: &str, port: Option<u16>, to| {
            let protocol = Some(protocol).filter(|said| !said.is_empty()).map(str::to_owned);
            let ask = ExplainAsk { from: String::new(), to: String::new(), port, protocol };
            super::protocol(&ask, to).map(|protocol| protocol.0).map_err(|error| error.to_string())
        };
        for (said, port, of_v4, of_v6) in [
            ("", None, 1, ICMPV6),
            ("", Some(80), 6, 6),
            ("icmp", None, 1, ICMPV6),
            ("1", None, 1, ICMPV6),
            ("58", None, 58, 58),
            ("tcp", Some(80), 6, 6),
            ("17", Some(53), 17, 17),
            ("gre", None, 47, 47),
            ("0", None, 0, 0),
            ("255", None, 255, 255),
        ] {
            assert_eq!(asked(said, port, v4), Ok(of_v4), "{said:?} {port:?}");
            assert_eq!(asked(said, port, v6), Ok(of_v6), "{said:?} {port:?}");
        }
        for (said, port, why) in [
            ("", Some(0), "tcp needs a port"),
            ("tcp", None, "tcp needs a port from 1 to 65535: DEST:PORT/tcp"),
            ("17", Some(0), "udp needs a port"),
            ("icmp", Some(80), "icmp has no ports"),
            ("esp", Some(80), "esp has no ports: leave the port out"),
            ("132", Some(80), "sctp goes by its addresses alone"),
            ("nonsense", None, "no protocol of IP"),
            ("256", None, "no protocol of IP"),
        ] {
            let told = asked(said, port, v4).unwrap_err();
            assert!(told.contains(why), "{said:?} {port:?}: {told}");
        }
    }

    #[test]
    fn a_packet_is_named_in_a_line() {
        let line = |protocol, from: &str, to: &str, port| {
            let [from, to] = [from, to].map(|end| end.parse::<IpAddr>().unwrap());
            summary(IpProtocol(protocol), from, (to, port))
        };
        for (protocol, port, v4, v6) in [
            (6, 80, "1.0.0.1:40000 > 1.0.0.2:80 tcp S", "[fd00::1]:40000 > [fd00::2]:80 tcp S"),
            (58, 0, "1.0.0.1 > 1.0.0.2 ipv6-icmp", "fd00::1 > fd00::2 icmp6 echo request"),
            (47, 0, "1.0.0.1 > 1.0.0.2 gre", "fd00::1 > fd00::2 gre"),
            (99, 0, "1.0.0.1 > 1.0.0.2 proto 99", "fd00::1 > fd00::2 proto 99"),
        ] {
            let of_v4 = line(protocol, "1.0.0.1", "1.0.0.2", port);
            assert_eq!(of_v4, format!("{v4} ttl 64 length 84"));
            let of_v6 = line(protocol, "fd00::1", "fd00::2", port);
            assert_eq!(of_v6, format!("{v6} hlim 64 length 104"));
        }
    }

    #[test]
    fn a_node_is_known_by_its_address_in_a_network_that_is_shared() {
        let node = |name: &str, places: &[(&str, &str)]| {
            let interface = |(network, address): &(&str, &str)| Interface {
                name: format!("to-{network}"),
                network: Some((*network).into()),
                addresses: address.parse().into_iter().collect(),
                mac: MacAddr::ZERO,
                port: None,
                servers: Vec::new(),
                names: Vec::new(),
            };
            let interfaces = places.iter().map(interface).collect();
            let (name, file) = (name.to_owned(), name.to_owned());
            Node { number: 1, name, file, interfaces }
        };
        let web = node("web", &[("front", "10.1.0.2/24"), ("back", "10.2.0.2/24")]);
        for (network, wanted) in
            [("front", "10.1.0.2"), ("back", "10.2.0.2"), ("elsewhere", "10.1.0.2")]
        {
            let from = node("db", &[(network, "10.9.0.3/24")]);
            assert_eq!(known_by(&web, Some(&from)), wanted.parse().ok(), "{network}");
        }
        assert_eq!(known_by(&web, None), "10.1.0.2".parse().ok());
    }
}
