//! `explain`: the walk of a packet that is only imagined, from the node's own kernel to its end.
//!
//! Nothing is sent and nothing changes. The node's part is read from its kernel, the rest asked of
//! the decisions that real frames meet ([`super::foretell`]). Where the packet would first have to
//! ask for a neighbour (ARP, neighbour discovery), the question and the answer are imagined too. What is
//! gathered here is followed in [`super::journey`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

use control::DoorError;
use control::api::{ExplainAsk, Walk};
use gateway::LegId;
use lab::domain::Domain;
use lab::{Lab, Node, Uplink, address, station};
use switch::{Frame, PortId};
use topology::{Address, Spec};
use wire::{MacAddr, Timestamp, VlanId};

use super::asked::{destination, missing, protocol};
use super::foretell::{Beside, Oracle};
use super::journey::Journey;
use super::kernel::Kernel;
use super::names::Names;
use super::present::{self, Asked};

/// The outside, as the sender of a packet.
pub(super) const OUTSIDE: &str = "inet";

/// The gateway's place in a network, or in a VLAN of it.
pub(super) struct Place {
    /// Its first address of IPv4 there.
    pub(super) address: Ipv4Addr,
    pub(super) leg: LegId,
    /// The port of a host that has its addresses too.
    pub(super) host: Option<PortId>,
    /// Its hardware address.
    pub(super) mac: MacAddr,
}

/// The walk of the packet asked about.
pub(super) fn explain(lab: &Lab, ask: &ExplainAsk) -> Result<Walk, DoorError> {
    let nodes = lab.nodes();
    let names = Names::of(lab);
    let picture = lab.with_switch(switch::Switch::picture);
    let picture = picture.ok_or_else(|| DoorError::Failed("the lab is ending".into()))?;
    let from = nodes.iter().find(|node| node.name == ask.from || node.file == ask.from);
    let bridge = Beside::of(&picture);
    let domains = lab.networks();
    let (sim, gateways, subnets, paper) = lab.with_spec(|spec| {
        let subnets = spec.networks.values().flat_map(topology::Network::all_subnets);
        (spec.uplink() == Uplink::Sim, places(spec, &domains), subnets.collect(), v6(spec))
    });
    let near = from.and_then(|node| beside(node, &gateways, &bridge));
    let to = destination(lab, (&nodes, near), from, &ask.to)?;
    let protocol = protocol(ask, to.address)?;
    let now = Timestamp::from_nanos(sys::clock::now());
    let kernel = match from {
        None => Kernel::default(),
        Some(node) => of_node(lab, node).ok_or_else(|| missing(lab, &nodes, &ask.from))??,
    };
    if from.is_none() && ask.from == OUTSIDE && to.address.is_ipv6() {
        let line = "the uplink is of IPv4 alone: nothing of IPv6 comes from there";
        return Err(DoorError::Invalid(line.into()));
    }
    let hop = kernel.hop(to.address, to.by.as_deref());
    let far = names.far.values().flat_map(|far| far.nodes.keys().copied());
    let asked = Asked {
        from,
        network: from.and_then(home),
        to: to.address,
        hop: hop.map(|(hop, _)| hop),
        known: hop.and_then(|(hop, by)| kernel.neighbour(hop, by)),
        gateways: gateways.iter().map(|own| own.address.into()).collect(),
        macs: gateways.iter().map(|own| own.mac).chain(far).collect(),
    };
    let met = present::met(lab, nodes.clone(), &asked);
    let from = from.and_then(|from| met.nodes.iter().find(|node| node.name == from.name));
    let awaited = lab.uplink_awaited();
    let journey = lab.with_gateway(|gateway| {
        let outside = gateway.uplink_address();
        let uplink = names.uplink.filter(|_| outside.is_some());
        let mac = gateways.first().map_or(MacAddr::ZERO, |own| address::mac(own.address));
        let oracle = Oracle { bridge, gateway: Some(gateway), mac, uplink, now };
        let mut journey = Journey {
            walk: Walk::default(),
            names: &names,
            nodes: &met.nodes,
            oracle,
            sim,
            gateways,
            subnets,
            paper,
            to: to.address,
            awaited: awaited.clone(),
            is_lost: met.is_lost,
            hears: met.hears,
            by: to.by.as_deref(),
            protocol,
            port: ask.port.unwrap_or(0),
            sent: None,
        };
        match from {
            Some(node) => journey.of_node(node, &kernel),
            None if ask.from == OUTSIDE && uplink.is_some() => journey.of_outside(),
            None => return None,
        }
        Some((journey.walk, journey.sent))
    });
    let gone = || missing(lab, &nodes, &ask.from);
    let (mut walk, sent) = journey.flatten().ok_or_else(gone)?;
    let repeats = |(frame, port, bytes): (Frame, PortId, Vec<u8>)| {
        lab.with_switch(|switch| switch.repeats(&frame, &bytes, port))
    };
    walk.kernel = sent.and_then(repeats).flatten();
    Ok(walk)
}

/// The network that a node's first port is in.
fn home(node: &Node) -> Option<&str> {
    node.interfaces.first()?.network.as_deref()
}

/// What a node's kernel knows; None where the node is gone.
fn of_node(lab: &Lab, node: &Node) -> Option<Result<Kernel, DoorError>> {
    let netns = lab.namespace(&node.name)?;
    let failed = |error: &dyn std::fmt::Display| {
        DoorError::Failed(format!("looking into node {}: {error}", node.name))
    };
    Some(Kernel::of(netns.as_fd()).map_err(|error| failed(&error)).and_then(|mut kernel| {
        kernel.v6.known = lab.neighbours_of(&node.name).map_err(|error| failed(&error))?;
        Ok(kernel)
    }))
}

/// The gateway's places in the lab's networks.
fn places(spec: &Spec, domains: &[(String, Domain)]) -> Vec<Place> {
    let mut all = Vec::new();
    for (name, domain) in domains {
        let (Some(network), Some(mac)) = (spec.network(name), station::mac_in(spec, name)) else {
            continue;
        };
        for (vlan, leg) in &domain.legs {
            let own = match network.vlans.contains_key(&vlan.get()) && *vlan != VlanId::NONE {
                true => network.gateways_of(Some(vlan.get())),
                false => network.gateways(),
            };
            let v4 = |own: &Address| match own.ip {
                IpAddr::V4(own) => Some(own),
                IpAddr::V6(_) => None,
            };
            if let Some(address) = own.iter().find_map(v4) {
                let (leg, host) = (*leg, domain.host.map(|host| host.port));
                all.push(Place { address, leg, host, mac });
            }
        }
    }
    all
}

/// The gateway's addresses of IPv6, at which it does not answer, with their networks.
fn v6(spec: &Spec) -> Vec<(String, Ipv6Addr)> {
    let own = |(name, network): (&String, &topology::Network)| {
        let all = network.all_gateways().into_iter().filter_map(|own| match own.ip {
            IpAddr::V6(own) => Some(own),
            IpAddr::V4(_) => None,
        });
        all.map(|own| (name.clone(), own)).collect::<Vec<_>>()
    };
    spec.networks.iter().flat_map(own).collect()
}

/// The gateway's address next to a node.
fn beside(node: &Node, gateways: &[Place], bridge: &Beside<'_>) -> Option<Ipv4Addr> {
    let legs = node.ports().filter_map(|port| bridge.leg(port.id));
    let mut places =
        legs.filter_map(|leg| gateways.iter().find(|own| station::leg(own.leg) == leg));
    places.next().map(|own| own.address)
}
