//! Routes of nodes, once everybody has addresses: each next hop is on a subnet of the node's own.

use std::collections::HashSet;
use std::net::IpAddr;

use super::Check;
use crate::checked::{CheckedInterface, CheckedNode, CheckedRoute};
use crate::cidr::Subnet;
use crate::route::{Destination, Route, Via};
use crate::spec::Spec;

impl Check<'_> {
    pub(super) fn routes(&mut self, nodes: &mut [CheckedNode]) {
        let spec = self.spec;
        for at in 0..nodes.len() {
            let theirs = |name: &str| {
                let found = spec.nodes.get_index_of(name).and_then(|at| nodes.get(at))?;
                let all = found.interfaces.iter().flat_map(|own| &own.addresses);
                Some(all.map(|(ip, _)| *ip).collect())
            };
            let (routes, faults) = of(spec, &nodes[at], theirs);
            for (place, text) in faults {
                self.problem(["nodes", &nodes[at].name, "routes", &place.to_string()], text);
            }
            nodes[at].routes = routes;
        }
    }
}

/// The routes of a node, and what is wrong with those it asks for, by their places. `theirs` tells the
/// addresses of a node, None where there is none of that name.
pub(super) fn of(
    spec: &Spec,
    node: &CheckedNode,
    theirs: impl Fn(&str) -> Option<Vec<IpAddr>>,
) -> (Vec<CheckedRoute>, Vec<(usize, String)>) {
    let asked = spec.node(&node.name).map(|own| own.routes.as_slice()).unwrap_or_default();
    let (mut routes, mut faults) = (Vec::<CheckedRoute>::new(), Vec::new());
    let addresses = || node.interfaces.iter().flat_map(|own| &own.addresses);
    // The kernel has those from the addresses.
    let own: HashSet<Subnet> =
        addresses().filter_map(|(ip, prefix)| Subnet::of(*ip, *prefix)).collect();
    let mut seen = HashSet::new();
    for (at, route) in asked.iter().enumerate() {
        match resolved((node, &own), route, &theirs) {
            Ok(found) => {
                if !seen.insert((found.to, found.via.is_ipv4())) {
                    faults.push((at, format!("{route}: there is a route to there already")));
                }
                routes.push(found);
            }
            Err(text) => faults.push((at, text)),
        }
    }
    if !routes.iter().any(|route| route.to.is_none() && route.via.is_ipv4()) {
        routes.extend(by_gateway(spec, node));
    }
    (routes, faults)
}

/// The default route: by the gateway of the first network that has one, where the node has an address
/// beside it. An internal network, which leads nowhere, comes behind those that are not. Of IPv4, which
/// is what the gateway routes.
fn by_gateway(spec: &Spec, node: &CheckedNode) -> Option<CheckedRoute> {
    let first = |internal: bool| {
        node.interfaces.iter().enumerate().find_map(|(interface, own)| {
            let name = own.network()?;
            let network = spec.network(name).filter(|network| network.internal == internal)?;
            let gateways = network.gateways_of(spec.pvid(&node.name, name));
            let mut all = gateways.into_iter().map(|address| address.ip);
            let via = all.find(|ip| ip.is_ipv4() && own.is_beside(*ip))?;
            Some(CheckedRoute { to: None, via, interface })
        })
    };
    first(false).or_else(|| first(true))
}

/// A route with its next hop's address and the interface it leads out of.
fn resolved(
    (node, own): (&CheckedNode, &HashSet<Subnet>),
    route: &Route,
    theirs: impl Fn(&str) -> Option<Vec<IpAddr>>,
) -> Result<CheckedRoute, String> {
    let to = match route.to {
        Destination::Default => None,
        Destination::Subnet(subnet) => Some(subnet),
    };
    let fits = |ip: &IpAddr| to.is_none_or(|to| to.is_ipv4() == ip.is_ipv4());
    if to.is_some_and(|to| own.contains(&to)) {
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
            let all = theirs(name);
            let all =
                all.ok_or_else(|| format!("{route}: {name} is neither an address nor a node"))?;
            all.into_iter().filter(fits).collect()
        }
    };
    let reached = |ip: IpAddr| {
        let near = |own: &CheckedInterface| !own.has(ip) && own.is_beside(ip);
        node.interfaces.iter().position(near)
    };
    let found = candidates.into_iter().find_map(|via| Some((via, reached(via)?)));
    let is_none = |via: IpAddr| {
        let mut homes = own.iter().filter(|own| own.contains(via));
        homes.any(|own| !own.is_host(via))
    };
    if let Some((via, _)) = found.filter(|(via, _)| is_none(*via)) {
        return Err(format!("{route}: {via} is no host's address, and so nobody's to lead by"));
    }
    let (via, interface) = found.ok_or_else(|| match &route.via {
        Via::Address(ip) => format!("{route}: {ip} is on no subnet that {} is in", node.name),
        Via::Node(name) => format!("{route}: {name} and {} are on no subnet together", node.name),
    })?;
    // Everywhere, by another name.
    let to = to.filter(|to| to.prefix() > 0);
    Ok(CheckedRoute { to, via, interface })
}
