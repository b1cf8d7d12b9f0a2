//! What `explain` is asked about, and the frames it imagines. Pure, but for the names of nodes.

use std::net::{IpAddr, Ipv4Addr};

use control::DoorError;
use control::api::{self, ExplainAsk};
use gateway::Protocol;
use lab::{Lab, Node, Uplink, address, names, station};
use switch::Frame;
use wire::MacAddr;

/// An imagined packet: as long as ping's, from a port as a kernel would choose it.
pub(super) const LENGTH: u16 = 84;
pub(super) const TTL: u8 = 64;
pub(super) const FROM_PORT: u16 = 40_000;

/// An imagined packet in a line.
pub(super) fn summary(protocol: Protocol, from: Ipv4Addr, (to, port): (Ipv4Addr, u16)) -> String {
    match protocol {
        Protocol::Icmp => format!("{from} > {to} icmp echo request ttl {TTL} length {LENGTH}"),
        Protocol::Tcp => {
            format!("{from}:{FROM_PORT} > {to}:{port} tcp S ttl {TTL} length {LENGTH}")
        }
        Protocol::Udp => format!("{from}:{FROM_PORT} > {to}:{port} udp ttl {TTL} length {LENGTH}"),
    }
}

pub(super) fn missing(lab: &Lab, nodes: &[Node], name: &str) -> DoorError {
    let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
    let (lab, names) = (&lab.config().name, names.join(", "));
    DoorError::NotFound(format!("lab {lab} has no node {name}; it has {names}"))
}

/// Where a packet of `from` goes that is for `text`: an address, a node, or what else has a name there.
pub(super) fn destination(
    lab: &Lab,
    (nodes, from): (&[Node], Option<&Node>),
    text: &str,
) -> Result<Ipv4Addr, DoorError> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text == names::GATEWAY {
        let own = from.into_iter().flat_map(|node| &node.interfaces);
        let own = own.filter_map(|interface| interface.network.as_deref());
        let gateway = lab
            .with_spec(|spec| own.filter_map(|network| station::gateway_in(spec, network)).next());
        return gateway.map(|(own, _)| own).ok_or_else(|| {
            DoorError::NotFound(format!("the gateway has no address where {text} is asked for"))
        });
    }
    let sim = lab.with_spec(|spec| spec.uplink() == Uplink::Sim);
    match text {
        names::INET if sim => return Ok(address::SIM_ROUTER),
        names::INTERNET if sim => return Ok(address::SIM_HOSTS[0]),
        _ => {}
    }
    let node = nodes.iter().find(|node| node.name == text || node.file == text);
    let remotes = || {
        // Each network may have one of that name: the one that is met first is meant.
        let meets = |network: &String| {
            let own = from.into_iter().flat_map(|node| &node.interfaces);
            own.into_iter().any(|own| own.network.as_ref() == Some(network))
        };
        let mut all = lab.remotes();
        all.sort_by_key(|(network, _)| !meets(network));
        all.into_iter().find_map(|(_, mut nodes)| nodes.remove(text))
    };
    if let Some(remote) = node.is_none().then(remotes).flatten() {
        let own = remote.ips.iter().find_map(|ip| match ip {
            IpAddr::V4(own) => Some(*own),
            IpAddr::V6(_) => None,
        });
        return own.ok_or_else(|| no_address(lab, text));
    }
    let Some(node) = node else {
        return Err(match missing(lab, nodes, text) {
            DoorError::NotFound(line) => DoorError::NotFound(format!("{line}; no address either")),
            other => other,
        });
    };
    node.ipv4().ok_or_else(|| no_address(lab, text))
}

fn no_address(lab: &Lab, node: &str) -> DoorError {
    let lab = &lab.config().name;
    DoorError::Invalid(format!("node {node} of lab {lab} has no IPv4 address to send to"))
}

pub(super) fn protocol(ask: &ExplainAsk) -> Result<Protocol, DoorError> {
    match (ask.protocol, ask.port) {
        (None, Some(_)) | (Some(api::Protocol::Tcp), Some(1..)) => Ok(Protocol::Tcp),
        (Some(api::Protocol::Udp), Some(1..)) => Ok(Protocol::Udp),
        (None | Some(api::Protocol::Icmp), None) => Ok(Protocol::Icmp),
        (Some(api::Protocol::Icmp), Some(_)) => {
            Err(DoorError::Invalid("icmp has no ports: leave the port out".into()))
        }
        (Some(protocol), _) => Err(DoorError::Invalid(format!(
            "{protocol} needs a port from 1 to 65535: DEST:PORT/{protocol}"
        ))),
    }
}

/// The node that has an address.
pub(super) fn owner(nodes: &[Node], address: Ipv4Addr) -> Option<&Node> {
    nodes.iter().find(|node| node.interface(address).is_some())
}

/// Whether an address is the broadcast of the network that `own` is in, or of any.
pub(super) fn is_broadcast(to: Ipv4Addr, own: Ipv4Addr, prefix: u8) -> bool {
    let hosts = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    to.is_broadcast() || (hosts > 1 && u32::from(to) == u32::from(own) | hosts)
}

/// The hardware address of a group (RFC 1112 section 6.4).
pub(super) fn multicast(group: Ipv4Addr) -> MacAddr {
    let [_, b, c, d] = group.octets();
    MacAddr([1, 0, 0x5e, b & 0x7f, c, d])
}

pub(super) fn frame(dst: MacAddr, src: MacAddr, packet_len: u32) -> Frame {
    Frame::new(dst, src, None, packet_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_is_everyone_s() {
        let own = Ipv4Addr::new(10, 100, 0, 10);
        for (to, prefix, wanted) in [
            ([255, 255, 255, 255], 16, true),
            ([10, 100, 255, 255], 16, true),
            ([10, 100, 0, 255], 16, false),
            ([10, 100, 0, 255], 24, true),
            ([10, 101, 255, 255], 16, false),
            // Of a point-to-point network both addresses are hosts (RFC 3021).
            ([10, 100, 0, 11], 31, false),
            ([10, 100, 0, 10], 32, false),
        ] {
            assert_eq!(is_broadcast(to.into(), own, prefix), wanted, "{to:?}/{prefix}");
        }
    }
}
