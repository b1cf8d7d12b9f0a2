//! What stands behind the switch's ports, by the ports' names.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use control::api::{Port, PortRole, Topology};

/// All that lies behind a real uplink.
pub(super) const OUTSIDE: &str = "outside";

/// Nodes by their ports and addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    ports: HashMap<String, String>,
    nodes: HashMap<Ipv4Addr, String>,
}

impl Names {
    /// As the lab is now.
    pub(super) fn of(topology: &Topology, ports: &[Port]) -> Self {
        let mut names = Self::default();
        for node in &topology.nodes {
            let further = node.further.iter();
            let addresses = further.clone().map(|one| one.address).chain([node.address]);
            names.nodes.extend(addresses.flatten().map(|own| (own, node.name.clone())));
            let ports = further.map(|one| &one.port).chain([&node.port]);
            names.ports.extend(ports.flatten().map(|port| (port.clone(), node.name.clone())));
        }
        let simulated = topology.uplink.as_ref().is_some_and(|uplink| uplink.name == "sim");
        let outside = if simulated { "inet" } else { OUTSIDE };
        for port in ports.iter().filter(|port| port.role == PortRole::Routed) {
            names.ports.insert(port.ifname.clone(), outside.into());
        }
        names
    }

    /// Who is behind a port; the port itself where that is not known.
    pub(super) fn behind<'a>(&'a self, port: &'a str) -> &'a str {
        self.ports.get(port).map_or(port, String::as_str)
    }

    /// The node with an address.
    pub(super) fn node(&self, address: Ipv4Addr) -> Option<&str> {
        self.nodes.get(&address).map(String::as_str)
    }

    /// Names for a lab that is made up.
    #[cfg(test)]
    pub(super) fn invented(ports: &[(&str, &str)]) -> Self {
        let ports = ports.iter().map(|(port, who)| ((*port).into(), (*who).into())).collect();
        Self { ports, nodes: HashMap::new() }
    }
}
