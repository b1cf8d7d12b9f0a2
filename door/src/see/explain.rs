//! `explain`: the walk of a packet that is only imagined, from the node's own kernel to its end.
//!
//! Nothing is sent and nothing changes. The node's part is read from its kernel, the rest asked of
//! the decisions that real frames meet ([`super::foretell`]). Where the packet would first have to
//! ask by ARP, the question and the answer are imagined too.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;

use control::DoorError;
use control::api::{Decision, ExplainAsk, Step, Verdict, Walk};
use gateway::{Endpoint, LegId, Probe, Protocol, Side};
use lab::domain::Domain;
use lab::{Interface, Lab, Node, Uplink, address, station};
use switch::{Ends, Frame, Path, PortId};
use topology::Subnet;
use wire::{MacAddr, Timestamp, arp, tcp};

use super::asked::{
    FROM_PORT, LENGTH, TTL, destination, frame, is_broadcast, missing, multicast, owner, protocol,
    summary,
};
use super::foretell::{self, Beside, By, Inside, Oracle};
use super::kernel::Kernel;
use super::missed;
use super::names::Names;

/// The outside, as the sender of a packet.
const OUTSIDE: &str = "inet";
/// An ARP request on Ethernet, without its header.
const ARP_LENGTH: u32 = 28;

/// The walk of the packet asked about.
pub(super) fn explain(lab: &Lab, ask: &ExplainAsk) -> Result<Walk, DoorError> {
    let nodes = lab.nodes();
    let names = Names::of(lab);
    let protocol = protocol(ask)?;
    let picture = lab.with_switch(switch::Switch::picture);
    let picture = picture.ok_or_else(|| DoorError::Failed("the lab is ending".into()))?;
    let from = nodes.iter().find(|node| node.name == ask.from || node.file == ask.from);
    let to = destination(lab, (&nodes, from), &ask.to)?;
    let now = Timestamp::from_nanos(sys::clock::now());
    let bridge = Beside::of(&picture);
    let kernel = match from {
        None => Kernel::default(),
        Some(node) => {
            let netns = lab.namespace(&node.name).ok_or_else(|| missing(lab, &nodes, &ask.from))?;
            Kernel::of(netns.as_fd()).map_err(|error| {
                DoorError::Failed(format!("looking into node {}: {error}", node.name))
            })?
        }
    };
    let domains = lab.networks();
    let (sim, gateways, subnets) = lab.with_spec(|spec| {
        let place = |(network, domain): &(String, Domain)| {
            let (address, _) = station::gateway_in(spec, network)?;
            let (_, leg) = domain.legs.first()?;
            Some(Place { network: network.clone(), address, leg: *leg })
        };
        let gateways: Vec<_> = domains.iter().filter_map(place).collect();
        let subnets = spec.networks.values().flat_map(topology::Network::all_subnets);
        (spec.uplink() == Uplink::Sim, gateways, subnets.collect::<Vec<_>>())
    });
    let journey = lab.with_gateway(|gateway| {
        let outside = gateway.uplink_address();
        let uplink = names.uplink.filter(|_| outside.is_some());
        let mac = gateways.first().map_or(MacAddr::ZERO, |own| address::mac(own.address));
        let oracle = Oracle { bridge, gateway: Some(gateway), mac, uplink, now };
        let mut journey = Journey {
            walk: Walk::default(),
            names: &names,
            nodes: &nodes,
            oracle,
            sim,
            gateways,
            subnets,
            to,
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
    let repeats = |(frame, port, ends): (Frame, PortId, Ends)| {
        lab.with_switch(|switch| {
            let between = switch.repeats(&frame, port)?;
            Some(between || switch.sends_on(&frame, &ends, port)?)
        })
    };
    walk.kernel = sent.and_then(repeats).flatten();
    Ok(walk)
}

/// The gateway's place in a network.
struct Place {
    network: String,
    address: Ipv4Addr,
    leg: LegId,
}

/// A packet on its imagined way.
struct Journey<'a> {
    walk: Walk,
    names: &'a Names,
    nodes: &'a [Node],
    oracle: Oracle<'a>,
    sim: bool,
    /// The gateway's places in the lab's networks, and these networks' subnets.
    gateways: Vec<Place>,
    subnets: Vec<Subnet>,
    to: Ipv4Addr,
    protocol: Protocol,
    port: u16,
    /// The frame as it comes to the switch.
    sent: Option<(Frame, PortId, Ends)>,
}

impl Journey<'_> {
    fn of_node(&mut self, node: &Node, kernel: &Kernel) {
        let Some(first) = node.interfaces.first() else { return };
        let name = node.name.as_str();
        let hop = kernel.hop(self.to);
        // The interface that the node's kernel would send it by.
        let by = |(_, by): (_, &str)| node.interfaces.iter().find(|own| own.name == by);
        let interface = hop.and_then(by).unwrap_or(first);
        let (own, prefix) = interface.ipv4().unwrap_or((Ipv4Addr::UNSPECIFIED, 32));
        self.walk.port = interface.port.as_ref().map_or_else(String::new, |port| port.name.clone());
        let network = interface.port.as_ref().and_then(|port| self.names.network(port.id));
        self.walk.network = network.map(Into::into);
        self.walk.summary = summary(self.protocol, own, (self.to, self.port));
        if node.interface(self.to).is_some() || self.to.is_loopback() {
            self.step(name, Decision::Local, "its own address: it stays inside the node");
            return self.ends(Verdict::Local, None, Some(true));
        }
        let Some((hop, _)) = hop else {
            let text = format!("no-route: {name} has no route to {}", self.to);
            self.step(name, Decision::Drop, &text);
            return self.ends(Verdict::Dropped, Some("no-route"), Some(false));
        };
        let everyone = is_broadcast(self.to, own, prefix);
        let text = match hop == self.to {
            _ if everyone => format!("{} means every host of its own network", self.to),
            _ if self.to.is_multicast() => {
                format!("{} is a group: its members are on its own network", self.to)
            }
            true => format!("{hop} is on its own network: straight to it"),
            false => format!("{} is not on its own network: to its router {hop}", self.to),
        };
        self.step(name, Decision::Route, &text);
        let Some(port) = interface.port.as_ref().map(|port| port.id) else {
            self.step(name, Decision::Drop, "unplugged: its interface has no port of the switch");
            return self.ends(Verdict::Dropped, Some("unplugged"), Some(false));
        };
        let mac = match kernel.neighbour(hop) {
            _ if everyone => {
                let mac = MacAddr::BROADCAST;
                let text = format!("nothing to ask: a broadcast goes to {mac}");
                self.step(name, Decision::Arp, &text);
                mac
            }
            _ if self.to.is_multicast() => {
                let mac = multicast(self.to);
                let text = format!("nothing to ask: the group's address is {mac}");
                self.step(name, Decision::Arp, &text);
                mac
            }
            Some(mac) => {
                self.step(name, Decision::Arp, &format!("{hop} is at {mac}, as it knows already"));
                mac
            }
            None => match self.ask(name, hop, (interface, port)) {
                Some(mac) => mac,
                None => return,
            },
        };
        let frame = frame(mac, interface.mac, u32::from(LENGTH));
        let side = self.gateway(interface).map_or(Side::LAN, |own| Side::Leg(own.leg));
        self.send(&frame, port, side, own);
    }

    /// The question and the answer that come before the packet; None where nobody answers.
    fn ask(
        &mut self,
        name: &str,
        hop: Ipv4Addr,
        (interface, port): (&Interface, PortId),
    ) -> Option<MacAddr> {
        let mac = interface.mac;
        let question = frame(MacAddr::BROADCAST, mac, ARP_LENGTH);
        let ends = [interface.ipv4().map_or(Ipv4Addr::UNSPECIFIED, |(own, _)| own), hop];
        let facts = self.oracle.ask(&question, port, Inside::Question(ends));
        if let Some(found) = facts.answer {
            let whose = owner(self.nodes, hop).map(|node| node.name.as_str());
            let far = || self.names.far.values().find_map(|far| far.nodes.get(&found));
            let whose = whose.or_else(|| far().map(String::as_str)).unwrap_or("it");
            let text = format!(
                "asks by ARP who has {hop}: the switch answers for {whose}, at {found} \
                 (neigh_suppress)"
            );
            self.step(name, Decision::Arp, &text);
            return Some(found);
        }
        if let (verdict @ Verdict::Dropped, reason) = facts.verdict() {
            self.step(name, Decision::Arp, &format!("asks by ARP who has {hop}"));
            self.walk.steps.extend(facts.steps(self.names));
            let here = (&self.oracle.bridge, self.names, self.nodes);
            self.walk.steps.extend(missed::told(here, &facts, &question, hop));
            self.ends(verdict, reason, Some(false));
            return None;
        }
        if self.gateway(interface).is_some_and(|own| own.address == hop) {
            let mac = address::mac(hop);
            let text = format!("asks by ARP who has {hop}: the gateway, at {mac}");
            self.step(name, Decision::Arp, &text);
            return Some(mac);
        }
        let here = (&self.oracle.bridge, self.names, self.nodes);
        let owner = owner(self.nodes, hop);
        let heard = owner.and_then(|node| {
            let interface = node.interface(hop)?;
            let at = interface.port.as_ref().filter(|port| facts.egress.contains(&port.id))?;
            Some((node, at.id, interface.mac))
        });
        let hosts = facts.egress.iter().find_map(|id| self.names.far.get(id));
        if let (None, Some(hosts)) = (owner, hosts) {
            let text = format!(
                "asks by ARP who has {hop}: nobody here, and the other hosts ({}) say it themselves",
                hosts.all()
            );
            self.step(name, Decision::Arp, &text);
            self.ends(Verdict::Waits, None, None);
            return None;
        }
        let Some((node, at, found)) = heard else {
            let why = missed::unheard(here, owner, hop, (&question, port));
            let text = format!("asks by ARP who has {hop}, and gets no answer: {why}");
            self.step(name, Decision::Arp, &text);
            self.step(
                name,
                Decision::Drop,
                "no-answer: without a hardware address nothing can be sent",
            );
            self.ends(Verdict::Dropped, Some("no-answer"), Some(false));
            return None;
        };
        let text = format!("asks by ARP who has {hop}: {}, at {found}", node.name);
        self.step(name, Decision::Arp, &text);
        // The answer teaches the switch where it came from.
        let answer = frame(mac, found, ARP_LENGTH);
        let (bridge, now) = (&mut self.oracle.bridge, self.oracle.now);
        let bytes = foretell::arp(&answer, arp::Operation::Reply, [hop, ends[0]]);
        let _ = bridge.knowing(&[found, mac], By::Port(at), now).decide_reading(
            &answer,
            &bytes,
            at,
            now,
            &mut Path::default(),
        );
        Some(found)
    }

    fn of_outside(&mut self) {
        let from = address::SIM_HOSTS[0];
        self.walk.port = self.oracle.uplink.map_or_else(String::new, |id| self.names.port(id));
        self.walk.summary = summary(self.protocol, from, (self.to, self.port));
        self.step(
            OUTSIDE,
            Decision::Sends,
            "a host outside sends it to the gateway's outside address",
        );
        let Some(port) = self.oracle.uplink else { return };
        let frame = frame(MacAddr::ZERO, MacAddr::ZERO, u32::from(LENGTH));
        self.send(&frame, port, Side::Uplink, from);
    }

    fn send(&mut self, frame: &Frame, port: PortId, side: Side, from: Ipv4Addr) {
        let end = |address, port| SocketAddrV4::new(address, port);
        let (src, dst) = (end(from, 0), end(self.to, self.port));
        let ends = Ends { protocol: self.protocol.number(), src, dst };
        self.sent = Some((*frame, port, ends));
        let probe = self.probe(side, from);
        let facts = self.oracle.ask(frame, port, Inside::Packet(&probe));
        self.walk.steps.extend(facts.steps(self.names));
        self.walk.to = facts.egress.iter().map(|id| self.names.port(*id)).collect();
        let (verdict, reason) = facts.verdict();
        let target =
            owner(self.nodes, self.to).and_then(|node| node.interface(self.to)?.port.as_ref());
        // A node that is to forward it.
        let hops = self.nodes.iter().flat_map(|node| &node.interfaces);
        let mut routers = hops.filter(|hop| hop.mac == frame.dst && !hop.has(self.to));
        let router = routers.find_map(|hop| hop.port.as_ref());
        let arrives = match verdict {
            Verdict::Answered => Some(true),
            Verdict::Dropped => Some(false),
            Verdict::Forwarded | Verdict::Flooded if router.is_some() => {
                // What that node's kernel makes of it is not asked.
                let reached = router.is_some_and(|port| facts.egress.contains(&port.id));
                (!reached).then_some(false)
            }
            Verdict::Forwarded | Verdict::Flooded => {
                let reached = target.is_none_or(|port| facts.egress.contains(&port.id));
                // What another host makes of it, that host knows.
                let here = target.is_some() || !facts.egress.iter().any(|id| self.is_far(*id));
                here.then_some(reached && !facts.egress.is_empty())
            }
            Verdict::Uplink => self.outside_answers(),
            Verdict::Waits => match facts.note.and_then(|note| note.hop) {
                Some((hop, _)) if self.oracle.uplink.is_some() && !self.is_inside(hop) => {
                    self.outside_answers()
                }
                Some((hop, _)) => Some(self.is_up(hop)),
                None => None,
            },
            _ => None,
        };
        if arrives == Some(false) && verdict == Verdict::Uplink {
            self.step(
                OUTSIDE,
                Decision::Drop,
                "no host of the simulated internet has that address",
            );
        }
        if arrives == Some(false) {
            let here = (&self.oracle.bridge, self.names, self.nodes);
            self.walk.steps.extend(missed::told(here, &facts, frame, self.to));
        }
        self.ends(verdict, reason, arrives);
    }

    /// Whether somebody outside has the address; None where the lab cannot know.
    fn outside_answers(&self) -> Option<bool> {
        self.sim.then(|| self.to == address::SIM_ROUTER || address::SIM_HOSTS.contains(&self.to))
    }

    /// The gateway's place in the network of an interface.
    fn gateway(&self, interface: &Interface) -> Option<&Place> {
        let network = interface.network.as_deref()?;
        self.gateways.iter().find(|own| own.network == network)
    }

    /// Whether somebody has this address, at a port that is up.
    fn is_up(&self, hop: Ipv4Addr) -> bool {
        let owner = owner(self.nodes, hop).and_then(|node| node.interface(hop)?.port.as_ref());
        owner.and_then(|port| self.oracle.bridge.port(port.id)).is_some_and(|port| port.up)
    }

    /// Whether a port leads to other hosts.
    fn is_far(&self, port: PortId) -> bool {
        self.names.far.contains_key(&port)
    }

    /// Whether an address lies in a network of the lab.
    fn is_inside(&self, address: Ipv4Addr) -> bool {
        self.subnets.iter().any(|subnet| subnet.contains(address.into()))
    }

    fn probe(&self, side: Side, from: Ipv4Addr) -> Probe {
        let (src, dst) = match self.protocol {
            Protocol::Icmp => (1, 0),
            _ => (FROM_PORT, self.port),
        };
        Probe {
            side,
            protocol: self.protocol,
            src: Endpoint::new(from, src),
            dst: Endpoint::new(self.to, dst),
            flags: tcp::Flags(tcp::Flags::SYN),
            length: LENGTH,
            ttl: TTL,
            dont_fragment: true,
        }
    }

    fn step(&mut self, at: &str, decision: Decision, text: &str) {
        let (at, text) = (at.into(), text.into());
        self.walk.steps.push(Step { at, decision, text, age: None });
    }

    fn ends(&mut self, verdict: Verdict, reason: Option<&str>, arrives: Option<bool>) {
        self.walk.verdict = verdict;
        self.walk.reason = reason.map(Into::into);
        self.walk.arrives = arrives;
    }
}
