//! A running lab as a drawing for documents: what is in it, and what is joined to what. Pure.
//!
//! | module | writes it as |
//! |---|---|
//! | [`mermaid`] | mermaid, as README pages of code hosts draw it |
//! | [`dot`] | Graphviz's language |
//! | [`svg`] | an image |

pub(crate) mod dot;
pub(crate) mod mermaid;
pub(crate) mod svg;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use control::api::{Network, Protocol, Published, Topology};
use topology::Spec;

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A node.
    Node,
    /// A network of the switch.
    Network,
    /// The gateway, with its NAT.
    Gateway,
    /// What lies behind the gateway.
    World,
}

/// A box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    /// Its name, and lines below it.
    pub(crate) text: Vec<String>,
}

/// A line between two boxes, by their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) ends: [usize; 2],
    pub(crate) label: String,
    /// Frames pass.
    pub(crate) up: bool,
}

/// A drawing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Graph {
    pub(crate) items: Vec<Item>,
    pub(crate) edges: Vec<Edge>,
}

impl Graph {
    /// Of a running lab, as it tells of itself.
    pub(crate) fn of(
        lab: &Topology,
        spec: &Spec,
        networks: &[Network],
        published: &[Published],
    ) -> Self {
        let mut graph = Self::default();
        let nodes: HashMap<&str, usize> =
            lab.nodes.iter().map(|node| (node.name.as_str(), graph.node(node))).collect();
        let places: HashMap<&str, usize> = networks
            .iter()
            .map(|network| (network.name.as_str(), graph.network(network)))
            .collect();
        for node in &lab.nodes {
            let first = (node.network.as_deref(), node.port.as_deref(), node.up);
            let further = node.further.iter();
            let further = further.map(|i| (i.network.as_deref(), i.port.as_deref(), i.up));
            for (network, port, up) in std::iter::once(first).chain(further) {
                let ends = network.and_then(|name| places.get(name)).zip(port);
                if let Some((place, port)) = ends {
                    graph.edge([nodes[node.name.as_str()], *place], port, up);
                }
            }
        }
        for link in &spec.links {
            let [a, b] = &link.endpoints;
            let up = [a, b].iter().all(|end| is_up(lab, &end.node, end.interface.as_deref()));
            if let (Some(a), Some(b)) = (nodes.get(a.node.as_str()), nodes.get(b.node.as_str())) {
                graph.edge([*a, *b], "", up);
            }
        }
        for link in &lab.links {
            let [a, b] = link.networks.each_ref().map(|name| places.get(name.as_str()));
            if let (Some(a), Some(b)) = (a, b) {
                graph.edge([*a, *b], &link.name, link.up);
            }
        }
        graph.way_out(lab, networks, &places, published);
        graph
    }

    fn node(&mut self, node: &control::api::Node) -> usize {
        let own = addresses(&node.addresses, node.address, node.prefix_len);
        let further = node.further.iter();
        let further = further.flat_map(|i| addresses(&i.addresses, i.address, i.prefix_len));
        let lines = std::iter::once(node.name.clone()).chain(own).chain(further);
        self.item(Kind::Node, lines.collect())
    }

    fn network(&mut self, network: &Network) -> usize {
        let mut text = vec![network.name.clone()];
        text.extend(network.subnets.iter().cloned());
        if network.internal {
            text.push("internal".into());
        }
        self.item(Kind::Network, text)
    }

    fn way_out(
        &mut self,
        lab: &Topology,
        networks: &[Network],
        places: &HashMap<&str, usize>,
        published: &[Published],
    ) {
        let served: Vec<_> =
            networks.iter().filter_map(|n| Some((n, n.gateway.as_ref()?))).collect();
        if served.is_empty() {
            return;
        }
        let nat = lab.uplink.iter().map(|uplink| format!("NAT {}", uplink.nat));
        let ports = published.iter().map(|port| {
            let udp = if port.protocol == Protocol::Udp { "/udp" } else { "" };
            format!("{} to {}{udp}", port.port, port.inside)
        });
        let text = std::iter::once("gateway".to_owned()).chain(nat).chain(ports).collect();
        let gateway = self.item(Kind::Gateway, text);
        for (network, address) in served {
            self.edge([places[network.name.as_str()], gateway], address, true);
        }
        let Some(uplink) = &lab.uplink else { return };
        let mut text = vec![match uplink.name.as_str() {
            "sim" => "internet (simulated)".to_owned(),
            name => format!("internet, by {name}"),
        }];
        text.extend(uplink.answers.iter().map(ToString::to_string));
        let world = self.item(Kind::World, text);
        self.edge([gateway, world], &uplink.address.to_string(), true);
    }

    fn item(&mut self, kind: Kind, text: Vec<String>) -> usize {
        self.items.push(Item { kind, text });
        self.items.len() - 1
    }

    fn edge(&mut self, ends: [usize; 2], label: &str, up: bool) {
        self.edges.push(Edge { ends, label: label.into(), up });
    }
}

/// Whether a node's interface is up; one that is not told by its name is.
fn is_up(lab: &Topology, node: &str, interface: Option<&str>) -> bool {
    let node = lab.nodes.iter().find(|own| own.name == node);
    let own = node.into_iter().flat_map(|node| {
        let further = node.further.iter().map(|own| (own.ifname.as_str(), own.up));
        std::iter::once((node.ifname.as_str(), node.up)).chain(further)
    });
    let mut own = own.filter(|(name, _)| Some(*name) == interface);
    own.next().is_none_or(|(_, up)| up)
}

fn addresses(all: &[String], one: Option<std::net::Ipv4Addr>, prefix: u8) -> Vec<String> {
    if all.is_empty() {
        return one.map(|address| format!("{address}/{prefix}")).into_iter().collect();
    }
    all.to_vec()
}
