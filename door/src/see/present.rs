//! The nodes that an imagined packet meets, as their kernels have them: with addresses and hardware
//! addresses that were changed by hand. What the lab has given them is where one begins.

use std::net::IpAddr;

use lab::{Lab, Node, Present};
use topology::{Address, Spec};
use wire::MacAddr;

use super::asked::owner;

/// What is asked of nodes' kernels about one packet.
pub(super) struct Met {
    /// All nodes.
    pub(super) nodes: Vec<Node>,
    /// Whether the node that was given the packet's address has it no more, and no other has it.
    pub(super) is_lost: bool,
    /// The hardware addresses that its owner listens to; None where nobody has it, or does not say.
    pub(super) hears: Option<Vec<MacAddr>>,
}

/// A packet, as far as its sender's kernel and the lab know its way.
pub(super) struct Asked<'a> {
    pub(super) from: Option<&'a Node>,
    /// The network that the sender is in.
    pub(super) network: Option<&'a str>,
    pub(super) to: IpAddr,
    /// The next hop, and the hardware address that the sender has of it.
    pub(super) hop: Option<IpAddr>,
    pub(super) known: Option<MacAddr>,
    /// The gateway's addresses, and the hardware addresses of it and of other hosts' nodes.
    pub(super) gateways: Vec<IpAddr>,
    pub(super) macs: Vec<MacAddr>,
}

/// The nodes a packet meets.
pub(super) fn met(lab: &Lab, mut nodes: Vec<Node>, asked: &Asked<'_>) -> Met {
    let Asked { from, network, to, hop, known, gateways, macs } = asked;
    let own = |node: &Node| lab.present(&node.name).ok().filter(|all| !all.is_empty());
    let sender = nodes.iter_mut().find(|node| from.is_some_and(|from| from.name == node.name));
    if let Some((node, all)) = sender.and_then(|node| own(node).map(|all| (node, all))) {
        source(node, &all);
    }
    let mut is_lost = false;
    let wanted = [Some(*to), hop.filter(|hop| hop != to)];
    for address in wanted.into_iter().flatten() {
        let given = owner(&nodes, address, *network).map(|(node, _)| node);
        let has = |node: &Node| own(node).map(|all| all.iter().any(|one| one.has(address)));
        let lost = given.and_then(has) == Some(false);
        // Whoever is asked for in a network.
        let near = *hop == Some(address) || lab.with_spec(|spec| is_inside(spec, address));
        let anew = near && !gateways.contains(&address) && (given.is_none() || lost);
        let by = |node: &Node| own(node)?.into_iter().find(|one| one.has(address));
        let mut found = nodes.iter().enumerate().filter(|_| anew);
        let Some((at, by)) = found.find_map(|(at, node)| Some((at, by(node)?))) else {
            is_lost |= lost && address == *to;
            continue;
        };
        for interface in nodes.iter_mut().flat_map(|node| &mut node.interfaces) {
            interface.addresses.retain(|own| own.ip != address);
        }
        lab.with_spec(|spec| give(&mut nodes[at], &by, address, spec));
    }
    let owner = owner(&nodes, *to, *network).map(|(node, _)| node.name.clone());
    let mut all = nodes.iter().flat_map(|node| &node.interfaces).map(|own| own.mac);
    let strange = known.is_some_and(|mac| !macs.contains(&mac) && !all.any(|own| own == mac));
    let mut hears = None;
    for node in &mut nodes {
        let is_owner = owner.as_ref() == Some(&node.name);
        let asked = (is_owner || strange).then(|| own(node)).flatten();
        let Some(all) = asked else { continue };
        readdress(node, &all);
        if is_owner {
            hears = Some(all.iter().filter_map(|one| one.mac).collect());
        }
    }
    Met { nodes, is_lost, hears }
}

/// The sender has what it has now.
fn source(node: &mut Node, all: &[Present]) {
    readdress(node, all);
    for interface in &mut node.interfaces {
        if let Some(now) = all.iter().find(|one| one.name == interface.name) {
            interface.addresses.retain(|own| own.ip.is_ipv6());
            interface.addresses.extend(now.addresses.iter().filter(|own| own.ip.is_ipv4()));
        }
    }
}

/// Its hardware addresses are those of now; it keeps the addresses that its kernel has made of others.
fn readdress(node: &mut Node, all: &[Present]) {
    for interface in &mut node.interfaces {
        let now = all.iter().find(|one| one.name == interface.name).and_then(|one| one.mac);
        if let Some(mac) = now.filter(|mac| *mac != interface.mac) {
            let made = interface.link_local().into();
            interface.addresses.push(Address { ip: made, prefix: Some(64) });
            interface.mac = mac;
        }
    }
}

/// An address that a node has by hand, at the interface where it is asked for: the one in the network that it
/// is of, for a host answers for all its addresses at each of its interfaces (RFC 1122, 3.3.4.2); else the one
/// that has it.
fn give(node: &mut Node, by: &Present, address: IpAddr, spec: &Spec) {
    let is_of = |network: &str| {
        let network = spec.network(network);
        network.is_some_and(|own| own.all_subnets().any(|subnet| subnet.contains(address)))
    };
    let all = &node.interfaces;
    let at = all.iter().position(|own| own.network.as_deref().is_some_and(is_of));
    let at = at.or_else(|| all.iter().position(|own| own.name == by.name)).unwrap_or(0);
    let own = by.addresses.iter().find(|own| own.ip == address).copied();
    if let (Some(interface), Some(own)) = (node.interfaces.get_mut(at), own) {
        interface.addresses.push(own);
    }
}

fn is_inside(spec: &Spec, address: IpAddr) -> bool {
    let mut subnets = spec.networks.values().flat_map(topology::Network::all_subnets);
    subnets.any(|subnet| subnet.contains(address))
}
