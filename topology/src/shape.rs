//! The three shapes, as labs to be: the walkthrough's names and addresses are in here and nowhere
//! else.

use std::net::{IpAddr, Ipv4Addr};

use crate::check::mac_of;
use crate::cidr::{Address, Subnet};
use crate::invalid::Invalid;
use crate::link::{End, Link};
use crate::network::{Gateway, Network};
use crate::node::{Attachment, Node};
use crate::spec::{MAX_NODES, Spec};
use crate::uplink::Uplink;

pub mod address;
#[cfg(test)]
mod tests;

/// The one network of a switched shape.
pub const LAN: &str = "lan";

/// The first node's name, and so on.
#[must_use]
pub fn name(number: u32) -> String {
    format!("net{number}")
}

/// The shapes' subnet, 10.100.0.0/16.
#[must_use]
pub fn subnet() -> Subnet {
    Subnet::v4(address::NETWORK, address::PREFIX)
}

/// The order in which addresses of the shapes' subnet are given out; None for other subnets.
pub(crate) fn order(of: Subnet) -> Option<impl Iterator<Item = IpAddr>> {
    let numbers = 1..=address::LAST;
    (of == subnet()).then(|| numbers.filter_map(address::of_node).map(IpAddr::V4))
}

/// Two nodes on one veth pair.
#[must_use]
pub fn pair() -> Spec {
    direct(2, |_, _| {
        let [a, b] = [Ipv4Addr::new(10, 100, 0, 1), Ipv4Addr::new(10, 100, 0, 2)];
        ([a, b], address::PREFIX, ["veth1".into(), "veth2".into()])
    })
}

/// A veth pair between every two of `nodes` nodes.
///
/// # Errors
/// One line for fewer than two, and for more than the pool has subnets for.
pub fn mesh(nodes: u32) -> Result<Spec, Invalid> {
    if nodes < 2 {
        return Err(Invalid(format!("-n {nodes}: a mesh has two or more")));
    }
    if nodes > address::LARGEST_MESH {
        return Err(Invalid(format!(
            "-n {nodes}: a mesh of {nodes} takes {} subnets of four addresses, and the pool \
             10.100.0.0/16 has {}: at most -n {}",
            u64::from(nodes) * u64::from(nodes - 1) / 2,
            address::MESH_SUBNETS,
            address::LARGEST_MESH,
        )));
    }
    Ok(direct(nodes, |number, [i, j]| {
        let addresses = address::of_pair(number).unwrap_or([Ipv4Addr::UNSPECIFIED; 2]);
        (addresses, 30, [format!("veth{i}-{j}"), format!("veth{j}-{i}")])
    }))
}

/// `nodes` nodes on the switch, the gateway behind it, the simulated internet behind that.
///
/// # Errors
/// One line for no node, and for more than the switch has ports for.
pub fn switch(nodes: u32) -> Result<Spec, Invalid> {
    if nodes == 0 {
        return Err(Invalid("-n 0: a lab has at least one node".into()));
    }
    if nodes > MAX_NODES {
        return Err(Invalid(format!("-n {nodes}: the switch has ports for {MAX_NODES} nodes")));
    }
    let mut spec = Spec { uplink: Some(Uplink::Sim), ..Spec::default() };
    let gateway = Gateway::At(vec![address::GATEWAY.into()]);
    let lan = Network { subnets: vec![subnet()], gateway, ..Network::default() };
    spec.networks.insert(LAN.into(), lan);
    spec.nodes = (1..=nodes).map(|number| (name(number), plugged(number))).collect();
    Ok(spec)
}

/// Node `number` of a switched shape: its address, and its interface `vethpeerN`.
#[must_use]
pub fn plugged(number: u32) -> Node {
    let own = address::of_node(number).map(|address| vec![IpAddr::V4(address).into()]);
    Node::on(vec![Attachment {
        addresses: own,
        interface: Some(format!("vethpeer{number}")),
        ..Attachment::to(LAN)
    }])
}

type Ends = ([Ipv4Addr; 2], u8, [String; 2]);

fn direct(nodes: u32, ends: impl Fn(u32, [u32; 2]) -> Ends) -> Spec {
    let mut spec = Spec { uplink: Some(Uplink::None), ..Spec::default() };
    spec.nodes = (1..=nodes).map(|number| (name(number), Node::default())).collect();
    let pairs = (1..=nodes).flat_map(|i| (i + 1..=nodes).map(move |j| [i, j]));
    for (number, pair) in (0..).zip(pairs) {
        let (addresses, prefix, interfaces) = ends(number, pair);
        let end = |at: usize| End {
            node: name(pair[at]),
            interface: Some(interfaces[at].clone()),
            addresses: vec![Address { ip: addresses[at].into(), prefix: Some(prefix) }],
            mac: mac_of(addresses[at].into()),
        };
        spec.links.push(Link { endpoints: [end(0), end(1)], mtu: None });
    }
    spec
}
