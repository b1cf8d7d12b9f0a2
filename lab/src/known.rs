//! What the journal tells other processes of a running lab: who has which address, for `ping NODE`.

use std::net::IpAddr;

use ::topology::{Address, Network, Spec};

use crate::journal::Known;
use crate::node::Node;

/// The addresses a node is known by, for other processes: the first of IPv4 of each interface, with
/// what it is reached by.
pub(crate) fn known(node: &Node) -> impl Iterator<Item = Known> {
    node.interfaces.iter().filter_map(|interface| {
        let (address, prefix_len) = interface.ipv4()?;
        let network = interface.network.clone();
        // A port that is in no network reaches nobody; it is no link to others of the same subnet.
        let is_alone = network.is_none() && interface.port.is_some();
        let prefix_len = if is_alone { 32 } else { prefix_len };
        Some(Known { name: node.file.clone(), address, prefix_len, network })
    })
}

/// The gateway's addresses of IPv4 in a network, and in its VLANs.
pub(crate) fn gateways(spec: &Spec, network: &str) -> Vec<Known> {
    let name = || crate::names::GATEWAY.to_owned();
    let known = |own: Address| match own.ip {
        IpAddr::V4(address) => {
            let (prefix_len, network) = (own.prefix.unwrap_or(32), Some(network.to_owned()));
            Some(Known { name: name(), address, prefix_len, network })
        }
        IpAddr::V6(_) => None,
    };
    let all = spec.network(network).map(Network::all_gateways).unwrap_or_default();
    all.into_iter().filter_map(known).collect()
}
