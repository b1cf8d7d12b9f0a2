//! Routes of nodes, once everybody has addresses: each next hop is on a subnet of the node's own.

use std::net::IpAddr;

use super::Check;
use crate::checked::{CheckedNode, CheckedRoute};
use crate::cidr::Subnet;
use crate::route::{Destination, Route, Via};
use crate::spec::Spec;

impl Check<'_> {
    pub(super) fn routes(&mut self, nodes: &mut [CheckedNode]) {
        for at in 0..nodes.len() {
            let routes = self.of_node(nodes, &nodes[at]);
            nodes[at].routes = routes;
        }
    }

    fn of_node(&mut self, nodes: &[CheckedNode], node: &CheckedNode) -> Vec<CheckedRoute> {
        let spec = self.spec;
        let asked = spec.node(&node.name).map(|own| own.routes.as_slice()).unwrap_or_default();
        let mut routes: Vec<CheckedRoute> = Vec::new();
        for (at, route) in asked.iter().enumerate() {
            match resolved(spec, nodes, node, route) {
                Ok(found) => {
                    let same = |other: &CheckedRoute| {
                        other.to == found.to && other.via.is_ipv4() == found.via.is_ipv4()
                    };
                    if routes.iter().any(same) {
                        let text = format!("{route}: there is a route to there already");
                        self.problem(["nodes", &node.name, "routes", &at.to_string()], text);
                    }
                    routes.push(found);
                }
                Err(text) => self.problem(["nodes", &node.name, "routes", &at.to_string()], text),
            }
        }
        for ipv4 in [true, false] {
            let default = |route: &CheckedRoute| route.to.is_none() && route.via.is_ipv4() == ipv4;
            if !routes.iter().any(default) {
                routes.extend(self.by_gateway(node, ipv4));
            }
        }
        routes
    }

    /// The default route of a family: by the gateway of the first network that has one, where the
    /// node has an address beside it. An internal network, which leads nowhere, comes behind those that
    /// are not.
    fn by_gateway(&self, node: &CheckedNode, ipv4: bool) -> Option<CheckedRoute> {
        let by = |internal| self.by_first((node, ipv4), internal);
        by(false).or_else(|| by(true))
    }

    fn by_first(&self, (node, ipv4): (&CheckedNode, bool), internal: bool) -> Option<CheckedRoute> {
        let spec = self.spec;
        node.interfaces.iter().enumerate().find_map(|(interface, own)| {
            let name = own.network()?;
            let network = spec.network(name).filter(|network| network.internal == internal)?;
            let gateways = network.gateways_of(spec.pvid(&node.name, name));
            let near = |ip: IpAddr| {
                let beside = |(own, prefix): &(IpAddr, u8)| {
                    Subnet::of(*own, *prefix).is_some_and(|subnet| subnet.contains(ip))
                };
                own.addresses.iter().any(beside)
            };
            let mut all = gateways.into_iter().map(|address| address.ip);
            let via = all.find(|ip| ip.is_ipv4() == ipv4 && near(*ip))?;
            Some(CheckedRoute { to: None, via, interface })
        })
    }
}

/// A route with its next hop's address and the interface it leads out of.
fn resolved(
    spec: &Spec,
    nodes: &[CheckedNode],
    node: &CheckedNode,
    route: &Route,
) -> Result<CheckedRoute, String> {
    let to = match route.to {
        Destination::Default => None,
        Destination::Subnet(subnet) => Some(subnet),
    };
    let fits = |ip: &IpAddr| to.is_none_or(|to| to.is_ipv4() == ip.is_ipv4());
    // The kernel has that one from the address.
    let own = |(ip, prefix): &(IpAddr, u8)| to.is_some() && Subnet::of(*ip, *prefix) == to;
    if node.interfaces.iter().flat_map(|interface| &interface.addresses).any(own) {
        return Err(format!(
            "{route}: {} is in that subnet itself: leave the route out",
            node.name
        ));
    }
    let candidates: Vec<IpAddr> = match &route.via {
        Via::Address(ip) if !fits(ip) => {
            return Err(format!("{route}: {ip} is of another family than where it leads"));
        }
        Via::Address(ip) => vec![*ip],
        Via::Node(name) if *name == node.name => {
            return Err(format!("{route}: a node is not its own next hop"));
        }
        Via::Node(name) => {
            let found = spec.nodes.get_index_of(name).and_then(|at| nodes.get(at));
            let found =
                found.ok_or_else(|| format!("{route}: {name} is neither an address nor a node"))?;
            let all = found.interfaces.iter().flat_map(|own| &own.addresses);
            all.map(|(ip, _)| *ip).filter(fits).collect()
        }
    };
    let reached = |ip: IpAddr| {
        node.interfaces.iter().position(|own| {
            own.addresses.iter().any(|(own, prefix)| {
                *own != ip && Subnet::of(*own, *prefix).is_some_and(|subnet| subnet.contains(ip))
            })
        })
    };
    let found = candidates.into_iter().find_map(|via| Some((via, reached(via)?)));
    let (via, interface) = found.ok_or_else(|| match &route.via {
        Via::Address(ip) => format!("{route}: {ip} is on no subnet that {} is in", node.name),
        Via::Node(name) => format!("{route}: {name} and {} are on no subnet together", node.name),
    })?;
    // Everywhere, by another name.
    let to = to.filter(|to| to.prefix() > 0);
    Ok(CheckedRoute { to, via, interface })
}
