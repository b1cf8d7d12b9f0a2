//! What the lab is made of, for the door. Once the lab is ending there is nothing left to name.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use control::api::{Awaited, Host, Interface, NetworkLink, Node, Topology, TopologyKind, Uplink};

use lab::{Lab, address, config, station};

use crate::change::NO_NAT;
use crate::fast;
use crate::open::{LabDoor, now};

pub(crate) fn topology(door: &LabDoor) -> Topology {
    let uptime = now().since(door.started).as_secs();
    let mut topology = Topology {
        lab: String::new(),
        kind: TopologyKind::Switch,
        pid: std::process::id(),
        uptime,
        nodes: Vec::new(),
        links: Vec::new(),
        gateway: None,
        uplink: None,
        uplink_awaited: None,
        fast_path: None,
        host_changes: Vec::new(),
    };
    let Ok(lab) = door.lab() else { return topology };
    topology.lab = lab.config().name.to_string();
    topology.kind = kind(lab.config().topology());
    let up = Up::of(&lab);
    topology.nodes = lab.nodes().iter().filter_map(|held| node(held, &up)).collect();
    topology.links = lab.joints().into_iter().map(|joint| link(joint, &up.ports)).collect();
    topology.gateway = lab.with_spec(station::first_gateway).map(|(address, prefix_len)| Host {
        address,
        prefix_len,
        mac: address::mac(address).to_string(),
        forwarding: lab.with_gateway(|gateway| gateway.routing().forwarding).unwrap_or(true),
    });
    topology.uplink = uplink(&lab);
    topology.uplink_awaited = lab.uplink_awaited().map(|(name, why)| Awaited { name, why });
    topology.fast_path = fast::state(&lab);
    topology.host_changes = lab.host_changes();
    topology
}

fn kind(topology: config::Topology) -> TopologyKind {
    match topology {
        config::Topology::Pair => TopologyKind::Pair,
        config::Topology::Mesh => TopologyKind::Mesh,
        config::Topology::Switch => TopologyKind::Switch,
    }
}

/// What is up.
#[derive(Default)]
pub(crate) struct Up {
    /// Ports.
    pub(crate) ports: Vec<switch::PortId>,
    /// Links without a port, by node and interface.
    pub(crate) wires: BTreeSet<(String, String)>,
}

impl Up {
    fn of(lab: &Lab) -> Self {
        let up = |switch: &switch::Switch| {
            switch.ports().into_iter().filter(|port| port.up).map(|port| port.id).collect()
        };
        Self { ports: lab.with_switch(up).unwrap_or_default(), wires: lab.wires_up() }
    }

    /// Whether an interface's link is up.
    fn has(&self, node: &lab::Node, interface: &lab::Interface) -> bool {
        match &interface.port {
            Some(port) => self.ports.contains(&port.id),
            None => self.wires.contains(&(node.name.clone(), interface.name.clone())),
        }
    }
}

pub(crate) fn node(held: &lab::Node, up: &Up) -> Option<Node> {
    let (interface, further) = held.interfaces.split_first()?;
    let (address, prefix_len) = ipv4(interface);
    let further = further.iter().map(|interface| {
        let (address, prefix_len) = ipv4(interface);
        Interface {
            ifname: interface.name.clone(),
            network: interface.network.clone(),
            port: interface.port.as_ref().map(|port| port.name.clone()),
            address,
            prefix_len,
            addresses: interface.addresses.iter().map(ToString::to_string).collect(),
            mac: interface.mac.to_string(),
            up: up.has(held, interface),
        }
    });
    Some(Node {
        name: held.name.clone(),
        namespace: held.file.clone(),
        ifname: interface.name.clone(),
        port: interface.port.as_ref().map(|port| port.name.clone()),
        network: interface.network.clone(),
        address,
        prefix_len,
        addresses: interface.addresses.iter().map(ToString::to_string).collect(),
        mac: Some(interface.mac.to_string()),
        up: up.has(held, interface),
        further: further.collect(),
    })
}

fn link(joint: lab::joint::Joint, up: &[switch::PortId]) -> NetworkLink {
    let lab::joint::Joint { name, ports, networks } = joint;
    let up = ports.iter().all(|port| up.contains(&port.id));
    NetworkLink { name, networks, ports: ports.map(|port| port.name), up }
}

fn ipv4(interface: &lab::Interface) -> (Option<Ipv4Addr>, u8) {
    interface.ipv4().map_or((None, 0), |(address, prefix)| (Some(address), prefix))
}

fn uplink(lab: &Lab) -> Option<Uplink> {
    let (own, routing) =
        lab.with_gateway(|gateway| (gateway.uplink_address(), gateway.routing()))?;
    let (own, translates) = (own?, routing.nat);
    let asked = lab.config().spec.uplink();
    let answers = match asked {
        config::Uplink::Sim => address::SIM_HOSTS.to_vec(),
        _ => Vec::new(),
    };
    Some(Uplink {
        name: lab.uplink_interface().unwrap_or_else(|| asked.to_string()),
        address: own.address,
        prefix_len: own.prefix_len,
        next_hop: own.next_hop,
        nat: if translates { lab.config().spec.nat.to_string() } else { NO_NAT.into() },
        answers,
    })
}
