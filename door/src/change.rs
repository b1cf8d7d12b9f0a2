//! Changes asked for at the door: nodes in and out, ports published, tables flushed.

use std::net::{IpAddr, Ipv4Addr};

use ::topology::Attachment;
use control::DoorError;
use control::api::{
    AddNode, EventKind, FlushFdb, FlushNat, Flushed, Node, Protocol, Publish, Published, Routing,
    SetGateway,
};
use gateway::{Endpoint, Flushing, PublishError};
use lab::{Lab, Uplink, station};
use switch::{PortId, Switch};

use crate::network::Of;
use crate::open::{Answer, LabDoor, now, refusal};
use crate::router::{protocol, shown, theirs};
use crate::topology::{Up, node};
use crate::{groups, settings};

pub(crate) fn add_node(door: &LabDoor, ask: &AddNode) -> Answer<Node> {
    let lab = door.lab()?;
    let added = lab.add_node(&asked(&lab, ask)?).map_err(|e| refusal(&e))?;
    // It works without; questions for it are sent on, as those for anybody unknown.
    let _ = groups::tell_known(door);
    let up = Up { ports: added.ports().map(|port| port.id).collect(), ..Up::default() };
    node(&added, &up)
        .ok_or_else(|| DoorError::Failed(format!("node {} has no address", added.name)))
}

/// The node asked for: with its address in its first network, where one is said.
fn asked(lab: &Lab, ask: &AddNode) -> Answer<lab::change::AddNode> {
    let place = |text: &String| {
        text.parse::<Attachment>().map_err(|why| DoorError::Invalid(why.to_string()))
    };
    let mut places: Vec<_> = ask.networks.iter().map(place).collect::<Answer<_>>()?;
    if let Some(address) = ask.address {
        if places.is_empty() {
            let first = lab.with_spec(|spec| spec.networks.keys().next().cloned());
            places.push(Attachment::to(first.as_deref().unwrap_or_default()));
        }
        match places.first_mut() {
            Some(first) if first.addresses.is_none() => {
                first.addresses = Some(vec![IpAddr::V4(address).into()]);
            }
            _ => {
                return Err(DoorError::Invalid(format!(
                    "the address {address} and one behind the network's name: say one of them"
                )));
            }
        }
    }
    Ok(lab::change::AddNode {
        name: ask.name.clone(),
        places,
        storm: ask.storm,
        dry_run: ask.dry_run,
    })
}

pub(crate) fn remove_node(door: &LabDoor, name: &str) -> Answer<()> {
    let lab = door.lab()?;
    let removed = lab.remove_node(name);
    tell_withdrawn(door, &lab);
    removed.map_err(|error| refusal(&error))?;
    let _ = groups::tell_known(door);
    Ok(())
}

/// What was published for a node that is gone is published no longer.
pub(crate) fn tell_withdrawn(door: &LabDoor, lab: &Lab) {
    for one in lab.take_withdrawn() {
        tell(door, protocol(one.protocol), one.port, false);
    }
}

fn tell(door: &LabDoor, protocol: Protocol, port: u16, published: bool) {
    door.tell(EventKind::Published { protocol, port, published });
}

fn named(lab: &Lab, name: &str) -> Option<lab::Node> {
    lab.nodes().into_iter().find(|node| node.is(name))
}

fn no_node(lab: &Lab, name: &str) -> DoorError {
    let nodes: Vec<_> = lab.nodes().into_iter().map(|node| node.name).collect();
    refusal(&lab::join::no_such(&lab.config().name, name, &nodes))
}

pub(crate) fn publish(door: &LabDoor, ask: &Publish) -> Answer<Published> {
    let lab = door.lab()?;
    let found = named(&lab, &ask.node).ok_or_else(|| no_node(&lab, &ask.node))?;
    let inside = led(&lab, &found)
        .ok_or_else(|| DoorError::Invalid(format!("{} {}", found.name, ::topology::NOT_LED)))?;
    let port = found.interface(inside).and_then(|interface| interface.port.as_ref());
    let owner = port.map_or(gateway::Node::NOBODY, |port| station::node(port.id));
    let wanted = gateway::Published {
        protocol: theirs(ask.protocol),
        address: ask.address,
        port: ask.port,
        inside: Endpoint::new(inside, ask.node_port),
    };
    if ask.node_port == 0 {
        return Err(DoorError::Invalid(PublishError::NoPort.to_string()));
    }
    if lab.config().spec.uplink() == Uplink::None {
        return Err(DoorError::Unsupported(format!(
            "lab {} has no uplink a port could be published on",
            lab.config().name
        )));
    }
    let taken = lab.host_socket(&ask.protocol.to_string(), ask.port);
    if let Some(why) = taken.map_err(|error| refusal(&error))? {
        return Err(DoorError::Conflict(why));
    }
    let outcome = door.gateway(|gateway| gateway.publish_for(owner, wanted))?;
    outcome.map_err(|error| {
        let line = error.to_string();
        match error {
            PublishError::Published(..) | PublishError::InUse(..) | PublishError::TooMany(_) => {
                DoorError::Conflict(line)
            }
            _ => DoorError::Invalid(line),
        }
    })?;
    tell(door, ask.protocol, ask.port, true);
    Ok(Published { node: Some(found.name), ..shown(&wanted) })
}

/// The address of a node that ports lead to: the first that is reached from outside.
fn led(lab: &Lab, node: &lab::Node) -> Option<Ipv4Addr> {
    lab.with_spec(|spec| {
        node.interfaces.iter().find_map(|own| {
            let place = (node.name.as_str(), own.network.as_deref()?);
            let own = own.addresses.iter().filter_map(|address| match address.ip {
                IpAddr::V4(ip) => Some(ip),
                IpAddr::V6(_) => None,
            });
            let mut open = own.filter(|ip| spec.is_open(place, *ip));
            open.next()
        })
    })
}

pub(crate) fn unpublish(door: &LabDoor, protocol: Protocol, port: u16) -> Answer<()> {
    if !door.gateway(|gateway| gateway.unpublish(theirs(protocol), port))? {
        let published = crate::router::mapped(door)?;
        let list: Vec<_> = published.iter().map(|p| format!("{}/{}", p.port, p.protocol)).collect();
        let list = if list.is_empty() { "nothing".into() } else { list.join(", ") };
        return Err(DoorError::NotFound(format!(
            "{protocol} port {port} is not published; what is: {list}"
        )));
    }
    tell(door, protocol, port, false);
    Ok(())
}

pub(crate) fn set_gateway(door: &LabDoor, ask: &SetGateway) -> Answer<Routing> {
    let own = door.lab()?.config().spec.nat.to_string();
    let nat = match ask.nat.as_deref() {
        None => None,
        Some(NO_NAT) => Some(false),
        Some(kind) if kind == own => Some(true),
        Some(other) => {
            return Err(DoorError::Invalid(format!(
                "the NAT of this lab is {own} as long as it runs, not {other}: `--nat none` \
                 switches it off, `--nat {own}` on again"
            )));
        }
    };
    let outcome = door.gateway(|gateway| {
        let mut routing = gateway.routing();
        routing.forwarding = ask.forwarding.unwrap_or(routing.forwarding);
        routing.nat = nat.unwrap_or(routing.nat);
        gateway.set_routing(routing).map(|()| routing)
    })?;
    let routing = outcome.map_err(|error| DoorError::Invalid(error.to_string()))?;
    let nat = if routing.nat { own } else { NO_NAT.to_owned() };
    door.tell(EventKind::GatewaySet { forwarding: routing.forwarding, nat: nat.clone() });
    Ok(Routing { forwarding: routing.forwarding, nat })
}

/// How a NAT that is switched off is called.
pub(crate) const NO_NAT: &str = "none";

pub(crate) fn flush_nat(door: &LabDoor, ask: &FlushNat) -> Answer<Flushed> {
    let lab = door.lab()?;
    let ports = |name: &String| {
        let found = named(&lab, name).ok_or_else(|| no_node(&lab, name))?;
        Ok::<_, DoorError>(found.ports().map(|port| station::node(port.id)).collect())
    };
    let nodes = ask.node.as_ref().map(ports).transpose()?;
    let protocol = ask.protocol.as_deref().map(str::parse::<wire::IpProtocol>).transpose();
    let protocol = protocol.map_err(|why| DoorError::Invalid(why.to_string()))?;
    let flushed = door.gateway(|gateway| match (&nodes, protocol) {
        (None, None) => gateway.flush_nat(now()),
        _ => gateway.flush_nat_of(&Flushing { nodes, protocol }, now()),
    })?;
    door.tell(EventKind::NatFlushed { count: flushed });
    Ok(Flushed { flushed })
}

pub(crate) fn flush_fdb(door: &LabDoor, ask: &FlushFdb) -> Answer<Flushed> {
    let lab = door.lab()?;
    let port = ask.port.as_deref().map(|name| port(door, &lab, name)).transpose()?;
    let named = ask.network.as_deref();
    let vlan = ask.vlan.map(|vlan| settings::known_vlan(door, vlan, named)).transpose()?;
    let network = Of::id(door, named)?;
    // The port's own name, whichever was asked by.
    let name = |switch: &Switch| {
        let (spec, _) = switch.port(port?)?;
        Some(spec.name)
    };
    let (flushed, ifname) = door.switch(|switch| {
        let gone = switch.table().flush_where(port, |whose, of| {
            vlan.is_none_or(|vlan| of == vlan) && network.is_none_or(|network| whose == network)
        });
        (gone, name(switch))
    })?;
    let flushed = flushed as u64;
    door.tell(EventKind::FdbFlushed { ifname, count: flushed });
    Ok(Flushed { flushed })
}

/// A port by its own name, its node's (then the first), or `NODE:NETWORK`; of a link between networks by
/// `LINK:NETWORK`.
pub(crate) fn port(door: &LabDoor, lab: &Lab, name: &str) -> Answer<PortId> {
    if let Some((node, network)) = name.split_once(':')
        && let Some(node) = named(lab, node)
    {
        let mut here = node.interfaces.iter();
        let found = here.find(|interface| interface.network.as_deref() == Some(network));
        return found.and_then(|interface| Some(interface.port.as_ref()?.id)).ok_or_else(|| {
            DoorError::NotFound(format!("node {} has no port in network {network}", node.name))
        });
    }
    if let Some(node) = named(lab, name) {
        let mut ports = node.ports();
        if let (Some(_), Some(_)) = (ports.next(), ports.next()) {
            let all = node.interfaces.iter().filter_map(|own| {
                let port = own.port.as_ref()?;
                let network = own.network.as_ref();
                Some(network.map_or(port.name.clone(), |network| format!("{name}:{network}")))
            });
            let all: Vec<_> = all.collect();
            return Err(DoorError::Invalid(format!(
                "node {name} has several ports: say which, {}",
                all.join(" or ")
            )));
        }
        if let Some(port) = node.ports().next() {
            return Ok(port.id);
        }
    }
    if let Some(found) = of_joint(lab, name).or_else(|| of_tunnel(lab, name)) {
        return found;
    }
    let ports = door.switch(Switch::ports)?;
    let found = ports.iter().find(|info| info.spec.name == name).map(|info| info.id);
    found.ok_or_else(|| {
        let names: Vec<_> = ports.iter().map(|info| info.spec.name.as_str()).collect();
        let (lab, name) = (&lab.config().name, lab::called::shown(name));
        DoorError::NotFound(format!("lab {lab} has no port {name}; it has {}", names.join(", ")))
    })
}

/// The port of a link between networks, where one is meant.
fn of_joint(lab: &Lab, name: &str) -> Option<Answer<PortId>> {
    let (link, network) = name.split_once(':').map_or((name, None), |(l, n)| (l, Some(n)));
    let joint = lab.joints().into_iter().find(|joint| joint.name == link)?;
    let Some(network) = network else {
        let all = joint.networks.each_ref().map(|network| format!("{link}:{network}"));
        return Some(Err(DoorError::Invalid(format!(
            "{link} has two ports: say which, {}",
            all.join(" or ")
        ))));
    };
    Some(joint.port(network).map(|port| port.id).ok_or_else(|| {
        let line = format!(
            "{link} has no end in network {network}: it joins {}",
            joint.networks.join(" and ")
        );
        DoorError::NotFound(line)
    }))
}

/// The one tunnel's port, where `vxlan` alone is meant.
fn of_tunnel(lab: &Lab, name: &str) -> Option<Answer<PortId>> {
    if name != "vxlan" {
        return None;
    }
    match lab.tunnels().as_slice() {
        [] => None,
        [one] => Some(Ok(one.port.id)),
        many => {
            let all: Vec<_> = many.iter().map(|tunnel| tunnel.port.name.as_str()).collect();
            let all = all.join(" or ");
            Some(Err(DoorError::Invalid(format!("there are several tunnels: say which, {all}"))))
        }
    }
}
