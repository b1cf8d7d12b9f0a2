//! The pings that show a lab works: over each link both ways; around each network, for those of its
//! nodes that ought to reach each other; then the internet. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ::topology::{Checked, CheckedInterface, CheckedNode, Spec, Subnet, Uplink};

use super::wires;
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
pub(super) fn of(checked: &Checked) -> Vec<CheckPlan> {
    let (spec, nodes) = (checked.spec(), checked.nodes());
    let mut checks = over_links(checked);
    let mut outside = None;
    for (name, network) in checked.networks() {
        // Those that ought to reach each other: in one subnet, by untagged frames of one VLAN, not
        // kept apart.
        let mut groups: BTreeMap<_, Vec<(usize, Ipv4Addr)>> = BTreeMap::new();
        let mut alone = Vec::new();
        for (place, node) in nodes.iter().enumerate() {
            let here = node.in_network(name);
            let Some((own, prefix)) = here.and_then(ipv4) else { continue };
            let port = spec.port(&node.name, name);
            if port.locked == Some(true) || !spec.speaks_untagged(&node.name, name) {
                continue;
            }
            let gateway = reached(spec, node, name);
            let leaves = gateway.is_some_and(|gateway| leaves_by(node, gateway));
            if outside.is_none() && !network.internal && leaves {
                outside = Some(place);
            }
            match port.isolated == Some(true) || port.isolation.is_some() {
                true => alone.extend(gateway.map(|gateway| (place, gateway))),
                false => {
                    let of = (spec.pvid(&node.name, name), Subnet::v4(own, prefix));
                    groups.entry(of).or_default().push((place, own));
                }
            }
        }
        for group in groups.into_values() {
            if let [(place, _)] = group.as_slice() {
                let gateway = reached(spec, &nodes[*place], name);
                alone.extend(gateway.map(|gateway| (*place, gateway)));
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
    if let Some(from) = outside.filter(|_| *checked.uplink() == Uplink::Sim) {
        let (to_name, to) = (names::INTERNET.into(), address::SIM_HOSTS[0]);
        checks.push(CheckPlan { from, to_name, to });
    }
    checks
}

/// The gateway's address of IPv4 beside a node's own in a network, where the gateway has a place in the
/// VLAN of what the node sends without a tag.
fn reached(spec: &Spec, node: &CheckedNode, name: &str) -> Option<Ipv4Addr> {
    let (network, here) = (spec.network(name)?, node.in_network(name)?);
    let vlan = spec.pvid(&node.name, name);
    let is_there = !network.filters_vlans()
        || vlan == network.default_pvid()
        || vlan.is_some_and(|vlan| network.vlans.contains_key(&vlan));
    let gateways = network.gateways_of(vlan).into_iter().filter(|_| is_there);
    gateways.map(|address| address.ip).filter(|ip| here.is_beside(*ip)).find_map(|ip| match ip {
        IpAddr::V4(gateway) => Some(gateway),
        IpAddr::V6(_) => None,
    })
}

/// Whether a node leaves for everywhere by this gateway.
fn leaves_by(node: &CheckedNode, gateway: Ipv4Addr) -> bool {
    node.routes.iter().any(|route| route.to.is_none() && route.via == gateway)
}

fn ipv4(interface: &CheckedInterface) -> Option<(Ipv4Addr, u8)> {
    interface.addresses.iter().find_map(|(ip, prefix)| match ip {
        IpAddr::V4(own) => Some((*own, *prefix)),
        IpAddr::V6(_) => None,
    })
}

/// Both ways over each link.
fn over_links(checked: &Checked) -> Vec<CheckPlan> {
    let mut checks = Vec::new();
    for (a, b) in wires(checked) {
        let (Some((to_a, _)), Some((to_b, _))) = (ipv4(a.1), ipv4(b.1)) else { continue };
        for (from, to, address) in [(a.0, b.0, to_b), (b.0, a.0, to_a)] {
            let to_name = checked.nodes()[to].name.clone();
            checks.push(CheckPlan { from, to_name, to: address });
        }
    }
    checks
}
