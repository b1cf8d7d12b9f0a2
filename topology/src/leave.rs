//! What becomes of a lab's spec when a node goes: nothing in it names that node any more.

use std::net::IpAddr;

use crate::cidr::{Address, Subnet};
use crate::link::Link;
use crate::route::{Destination, Route, Via};
use crate::spec::Spec;

impl Spec {
    /// A node goes, and its links with it, which are returned. A route that names it keeps the address it
    /// leads by, as kernels keep it; one over a link that is gone goes too. Of a spec that is
    /// [spelled out](crate::Checked::spelled_out).
    pub fn take_out(&mut self, name: &str) -> Vec<Link> {
        let was = self.addresses(name);
        let whole = self.clone();
        let is =
            |link: &Link| !whole.joins(link) && link.endpoints.iter().any(|end| end.node == name);
        let gone: Vec<Link> = self.links.extract_if(.., |link| is(link)).collect();
        self.nodes.shift_remove(name);
        self.ports.retain(|key, _| key.split(':').next() != Some(name));
        self.publish.retain(|own| own.node != name);
        for network in self.networks.values_mut() {
            network.fdb.retain(|own| own.node.as_deref() != Some(name));
            network.mdb.retain(|own| own.node != name);
        }
        let names: Vec<String> = self.nodes.keys().cloned().collect();
        for other in names {
            let own = self.addresses(&other);
            let linked = gone.iter().any(|link| link.endpoints.iter().any(|end| end.node == other));
            let Some(node) = self.nodes.get_mut(&other) else { continue };
            node.routes.retain_mut(|route| keeps(route, &own, (name, &was), linked));
        }
        gone
    }

    /// A node has left one of its networks, where nothing names it any more.
    pub fn take_from(&mut self, name: &str, network: &str) {
        self.ports.shift_remove(&format!("{name}:{network}"));
        if let Some(left) = self.networks.get_mut(network) {
            left.fdb.retain(|own| own.node.as_deref() != Some(name));
            left.mdb.retain(|own| own.node != name);
        }
        if self.node(name).is_none_or(|node| node.networks.is_empty()) {
            self.ports.shift_remove(name);
            self.publish.retain(|own| own.node != name);
        }
    }

    /// The addresses that were chosen for a node.
    fn addresses(&self, name: &str) -> Vec<Address> {
        let places = self.node(name).into_iter().flat_map(|node| &node.networks);
        let places = places.flat_map(|place| place.addresses.iter().flatten());
        let ends = self.ends(name).flat_map(|(_, end)| &end.addresses);
        places.chain(ends).copied().collect()
    }
}

/// Whether the kernel of a node with the addresses `own` keeps a route when another goes.
fn keeps(
    route: &mut Route,
    own: &[Address],
    (gone, was): (&str, &[Address]),
    linked: bool,
) -> bool {
    let beside = |ip: IpAddr| {
        own.iter().any(|own| {
            let alone = if own.ip.is_ipv4() { 32 } else { 128 };
            let subnet = Subnet::of(own.ip, own.prefix.unwrap_or(alone));
            subnet.is_some_and(|subnet| subnet.contains(ip))
        })
    };
    let fits = |ip: IpAddr| match route.to {
        Destination::Default => true,
        Destination::Subnet(subnet) => subnet.is_ipv4() == ip.is_ipv4(),
    };
    match &route.via {
        Via::Node(name) if name == gone => {
            let hop = was.iter().map(|own| own.ip).find(|ip| fits(*ip) && beside(*ip));
            hop.map(|hop| route.via = Via::Address(hop)).is_some()
        }
        Via::Node(_) => true,
        Via::Address(hop) => !linked || beside(*hop),
    }
}
