//! By which gateways nodes leave their networks. Pure.

use std::net::{IpAddr, Ipv4Addr};

use ::topology::Spec;

use super::NodePlan;

/// The gateway of the first of a node's networks that has one of IPv4 beside it, and its interface there.
/// An internal network, which leads nowhere, comes behind those that are not.
pub(super) fn default_router(spec: &Spec, node: &NodePlan) -> Option<(usize, IpAddr)> {
    let first = |internal: bool| {
        node.interfaces.iter().enumerate().find_map(|(place, interface)| {
            let name = interface.network.as_deref()?;
            let network = spec.network(name).filter(|network| network.internal == internal)?;
            let near = |ip: &IpAddr| {
                let mut subnets = interface.addresses.iter().filter_map(|own| own.subnet());
                ip.is_ipv4() && subnets.any(|subnet| subnet.contains(*ip))
            };
            let gateways = network.gateways_of(spec.pvid(&node.name, name));
            Some((place, gateways.into_iter().map(|address| address.ip).find(near)?))
        })
    };
    first(false).or_else(|| first(true))
}

/// The gateway's address of IPv4 in the part of a network that a node's frames without a tag belong
/// to, with the prefix length.
#[must_use]
pub fn gateway_for(spec: &Spec, node: &str, network: &str) -> Option<(Ipv4Addr, u8)> {
    let own = spec.network(network)?;
    let vlan = spec.pvid(node, network);
    own.gateways_of(vlan).into_iter().find_map(|address| match address.ip {
        IpAddr::V4(gateway) => Some((gateway, address.prefix.unwrap_or(32))),
        IpAddr::V6(_) => None,
    })
}
