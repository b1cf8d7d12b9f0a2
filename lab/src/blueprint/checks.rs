//! The pings that show a lab works: over each link both ways; around each network, for those of its
//! nodes that ought to reach each other; then the internet. Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ::topology::{Spec, Subnet, Uplink};

use super::{NodePlan, default_router, gateway_for};
use crate::address;
use crate::names;

/// Two addresses that have to reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckPlan {
    /// The node the ping starts from, by its place among the nodes.
    pub from: usize,
    /// What the destination is called.
    pub to_name: String,
    /// Where it goes.
    pub to: Ipv4Addr,
}

/// The walkthrough's: net1 and net2 each way, then the internet. With more nodes each also reaches
/// the next one around; one that is alone reaches the gateway.
pub(super) fn of(spec: &Spec, nodes: &[NodePlan]) -> Vec<CheckPlan> {
    let mut checks = over_links(spec);
    let mut outside = None;
    for (name, network) in &spec.networks {
        // Those that ought to reach each other: in one subnet, by untagged frames of one VLAN, not
        // kept apart.
        let mut groups: BTreeMap<_, Vec<(usize, Ipv4Addr)>> = BTreeMap::new();
        let mut alone = Vec::new();
        for (place, node) in nodes.iter().enumerate() {
            let here = node.interfaces.iter().find(|i| i.network.as_deref() == Some(name));
            let Some((own, prefix)) = here.and_then(|interface| interface.ipv4()) else { continue };
            let port = spec.port(&node.name, name);
            if port.locked == Some(true) || !spec.speaks_untagged(&node.name, name) {
                continue;
            }
            let gateway = reached(spec, &node.name, name);
            let leaves = || {
                let (place, _) = default_router(spec, node)?;
                node.interfaces[place].network.as_deref()
            };
            if outside.is_none()
                && gateway.is_some()
                && !network.internal
                && leaves() == Some(name.as_str())
            {
                outside = Some(place);
            }
            match port.isolated == Some(true) || port.isolation.is_some() {
                true => alone.extend(gateway.map(|(gateway, _)| (place, gateway))),
                false => {
                    let of = (spec.pvid(&node.name, name), Subnet::v4(own, prefix));
                    groups.entry(of).or_default().push((place, own));
                }
            }
        }
        for group in groups.into_values() {
            if let [(place, _)] = group.as_slice() {
                let gateway = reached(spec, &nodes[*place].name, name);
                alone.extend(gateway.map(|(gateway, _)| (*place, gateway)));
                continue;
            }
            for (at, (from, _)) in group.iter().enumerate() {
                let (next, to) = group[(at + 1) % group.len()];
                let to_name = nodes[next].name.clone();
                checks.push(CheckPlan { from: *from, to_name, to });
            }
        }
        let to_gateway = |(from, to)| CheckPlan { from, to_name: names::GATEWAY.into(), to };
        checks.extend(alone.into_iter().map(to_gateway));
    }
    if let Some(from) = outside.filter(|_| spec.uplink() == Uplink::Sim) {
        let (to_name, to) = (names::INTERNET.into(), address::SIM_HOSTS[0]);
        checks.push(CheckPlan { from, to_name, to });
    }
    checks
}

/// The gateway of a network, where it has a place in the VLAN of what a node sends without a tag.
fn reached(spec: &Spec, node: &str, name: &str) -> Option<(Ipv4Addr, u8)> {
    let network = spec.network(name)?;
    let vlan = spec.pvid(node, name);
    let is_there = !network.filters_vlans()
        || vlan == network.default_pvid()
        || vlan.is_some_and(|vlan| network.vlans.contains_key(&vlan));
    gateway_for(spec, node, name).filter(|_| is_there)
}

/// Both ways over each link.
fn over_links(spec: &Spec) -> Vec<CheckPlan> {
    let mut checks = Vec::new();
    for link in &spec.links {
        let [a, b] = &link.endpoints;
        for (from, to) in [(a, b), (b, a)] {
            let own = |end: &::topology::End| {
                end.addresses.iter().find_map(|address| match address.ip {
                    std::net::IpAddr::V4(own) => Some(own),
                    std::net::IpAddr::V6(_) => None,
                })
            };
            if let (Some(from), Some(_), Some(address)) =
                (spec.nodes.get_index_of(&from.node), own(from), own(to))
            {
                checks.push(CheckPlan { from, to_name: to.node.clone(), to: address });
            }
        }
    }
    checks
}
