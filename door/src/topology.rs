//! What the lab is made of, for the door. Once the lab is ending there is nothing left to name.

use control::api::{Host, Interface, Node, Topology, TopologyKind, Uplink};

use lab::{Lab, address, config};

use crate::open::{LabDoor, now};

pub(crate) fn topology(door: &LabDoor) -> Topology {
    let uptime = now().since(door.started).as_secs();
    let mut topology = Topology {
        lab: String::new(),
        kind: TopologyKind::Switch,
        pid: std::process::id(),
        uptime,
        nodes: Vec::new(),
        gateway: None,
        uplink: None,
        host_changes: Vec::new(),
    };
    let Ok(lab) = door.lab() else { return topology };
    topology.lab = lab.config().name.to_string();
    topology.kind = kind(lab.config().topology);
    let up = up(&lab);
    topology.nodes = lab.nodes().iter().filter_map(|held| node(held, &up)).collect();
    topology.gateway = lab.with_gateway(|_| Host {
        address: address::GATEWAY,
        prefix_len: address::PREFIX,
        mac: address::mac(address::GATEWAY).to_string(),
    });
    topology.uplink = uplink(&lab);
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

/// The ports whose link is up.
fn up(lab: &Lab) -> Vec<switch::PortId> {
    let up = |switch: &switch::Switch| {
        switch.ports().into_iter().filter(|port| port.up).map(|port| port.id).collect()
    };
    lab.with_switch(up).unwrap_or_default()
}

pub(crate) fn node(held: &lab::Node, up: &[switch::PortId]) -> Option<Node> {
    let (interface, further) = held.interfaces.split_first()?;
    let further = further.iter().map(|interface| Interface {
        ifname: interface.name.clone(),
        address: interface.address,
        prefix_len: interface.prefix,
        mac: interface.mac.to_string(),
    });
    Some(Node {
        name: held.name.clone(),
        namespace: held.file.clone(),
        ifname: interface.name.clone(),
        port: held.port.as_ref().map(|(_, name)| name.clone()),
        address: interface.address,
        prefix_len: interface.prefix,
        mac: Some(interface.mac.to_string()),
        up: held.port.as_ref().is_none_or(|(id, _)| up.contains(id)),
        further: further.collect(),
    })
}

fn uplink(lab: &Lab) -> Option<Uplink> {
    let own = lab.with_gateway(|gateway| gateway.uplink_address())??;
    let answers = match lab.config().uplink {
        config::Uplink::Sim => address::SIM_HOSTS.to_vec(),
        _ => Vec::new(),
    };
    Some(Uplink {
        name: lab.uplink_interface().unwrap_or_else(|| lab.config().uplink.to_string()),
        address: own.address,
        prefix_len: own.prefix_len,
        next_hop: own.next_hop,
        nat: lab.config().nat.to_string(),
        answers,
    })
}
