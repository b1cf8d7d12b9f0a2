//! `explain`: the walk of a packet that is only imagined, from the node's own kernel to its end.
//!
//! Nothing is sent and nothing changes. The node's part is read from its kernel, the rest asked of
//! the decisions that real frames meet ([`super::foretell`]). Where the packet would first have to
//! ask by ARP, the question and the answer are imagined too.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use control::DoorError;
use control::api::{self, Decision, ExplainAsk, Step, Verdict, Walk};
use gateway::{Endpoint, Probe, Protocol, Side};
use switch::{Frame, Path, PortId};
use wire::{MacAddr, Timestamp, tcp};

use super::foretell::{Beside, By, Oracle};
use super::kernel::Kernel;
use super::names::Names;
use lab::Uplink;
use lab::address;
use lab::{Lab, Node};

/// The outside, as the sender of a packet.
const OUTSIDE: &str = "inet";
/// An imagined packet: as long as ping's, from a port as a kernel would choose it.
const LENGTH: u16 = 84;
const TTL: u8 = 64;
const FROM_PORT: u16 = 40_000;
/// An ARP request on Ethernet, without its header.
const ARP_LENGTH: u32 = 28;

/// The walk of the packet asked about.
pub(super) fn explain(lab: &Lab, ask: &ExplainAsk) -> Result<Walk, DoorError> {
    let nodes = lab.nodes();
    let to = destination(lab, &nodes, &ask.to)?;
    let names = Names::of(lab);
    let protocol = protocol(ask)?;
    let picture = lab.with_switch(switch::Switch::picture);
    let picture = picture.ok_or_else(|| DoorError::Failed("the lab is ending".into()))?;
    let from = nodes.iter().find(|node| node.name == ask.from || node.file == ask.from);
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
    let journey = lab.with_gateway(|gateway| {
        let outside = gateway.uplink_address();
        let uplink = names.uplink.filter(|_| outside.is_some());
        let mac = address::mac(address::GATEWAY);
        let oracle = Oracle { bridge, gateway: Some(gateway), mac, uplink, now };
        let mut journey = Journey {
            walk: Walk::default(),
            names: &names,
            nodes: &nodes,
            oracle,
            sim: lab.config().uplink == Uplink::Sim,
            to,
            protocol,
            port: ask.port.unwrap_or(0),
        };
        match from {
            Some(node) => journey.of_node(node, &kernel),
            None if ask.from == OUTSIDE && uplink.is_some() => journey.of_outside(),
            None => return None,
        }
        Some(journey.walk)
    });
    journey.flatten().ok_or_else(|| missing(lab, &nodes, &ask.from))
}

fn missing(lab: &Lab, nodes: &[Node], name: &str) -> DoorError {
    let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
    let (lab, names) = (&lab.config().name, names.join(", "));
    DoorError::NotFound(format!("lab {lab} has no node {name}; it has {names}"))
}

fn destination(lab: &Lab, nodes: &[Node], text: &str) -> Result<Ipv4Addr, DoorError> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let node = nodes.iter().find(|node| node.name == text || node.file == text);
    let address = node.and_then(|node| Some(node.interfaces.first()?.address));
    address.ok_or_else(|| match missing(lab, nodes, text) {
        DoorError::NotFound(line) => DoorError::NotFound(format!("{line}; no address either")),
        other => other,
    })
}

fn protocol(ask: &ExplainAsk) -> Result<Protocol, DoorError> {
    match (ask.protocol, ask.port) {
        (None, Some(_)) | (Some(api::Protocol::Tcp), Some(1..)) => Ok(Protocol::Tcp),
        (Some(api::Protocol::Udp), Some(1..)) => Ok(Protocol::Udp),
        (None | Some(api::Protocol::Icmp), None) => Ok(Protocol::Icmp),
        (Some(api::Protocol::Icmp), Some(_)) => {
            Err(DoorError::Invalid("icmp has no ports: leave the port out".into()))
        }
        (Some(protocol), _) => Err(DoorError::Invalid(format!(
            "{protocol} needs a port from 1 to 65535: DEST:PORT/{protocol}"
        ))),
    }
}

/// The node that has an address.
fn owner(nodes: &[Node], address: Ipv4Addr) -> Option<&Node> {
    nodes.iter().find(|node| node.interfaces.iter().any(|i| i.address == address))
}

/// Whether an address is the broadcast of the network that `own` is in, or of any.
fn is_broadcast(to: Ipv4Addr, own: Ipv4Addr, prefix: u8) -> bool {
    let hosts = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    to.is_broadcast() || (hosts > 1 && u32::from(to) == u32::from(own) | hosts)
}

/// A packet on its imagined way.
struct Journey<'a> {
    walk: Walk,
    names: &'a Names,
    nodes: &'a [Node],
    oracle: Oracle<'a>,
    sim: bool,
    to: Ipv4Addr,
    protocol: Protocol,
    port: u16,
}

impl Journey<'_> {
    fn of_node(&mut self, node: &Node, kernel: &Kernel) {
        let Some(interface) = node.interfaces.first() else { return };
        let name = node.name.as_str();
        self.walk.port = node.port.as_ref().map_or_else(String::new, |(_, port)| port.clone());
        self.summarise(interface.address);
        if self.to == interface.address || self.to.is_loopback() {
            self.step(name, Decision::Local, "its own address: it stays inside the node");
            return self.ends(Verdict::Local, None, Some(true));
        }
        let Some(hop) = kernel.hop(self.to) else {
            self.step(
                name,
                Decision::Drop,
                &format!("no-route: {name} has no route to {}", self.to),
            );
            return self.ends(Verdict::Dropped, Some("no-route"), Some(false));
        };
        let everyone = is_broadcast(self.to, interface.address, interface.prefix);
        let text = match hop == self.to {
            _ if everyone => format!("{} means every host of its own network", self.to),
            _ if self.to.is_multicast() => {
                format!("{} is a group: its members are on its own network", self.to)
            }
            true => format!("{hop} is on its own network: straight to it"),
            false => format!("{} is not on its own network: to its router {hop}", self.to),
        };
        self.step(name, Decision::Route, &text);
        let Some((port, _)) = node.port else {
            self.step(name, Decision::Drop, "unplugged: its interface has no port of the switch");
            return self.ends(Verdict::Dropped, Some("unplugged"), Some(false));
        };
        let mac = match kernel.neighbour(hop) {
            _ if everyone => {
                let mac = MacAddr::BROADCAST;
                self.step(
                    name,
                    Decision::Arp,
                    &format!("nothing to ask: a broadcast goes to {mac}"),
                );
                mac
            }
            _ if self.to.is_multicast() => {
                let mac = multicast(self.to);
                self.step(
                    name,
                    Decision::Arp,
                    &format!("nothing to ask: the group's address is {mac}"),
                );
                mac
            }
            Some(mac) => {
                self.step(name, Decision::Arp, &format!("{hop} is at {mac}, as it knows already"));
                mac
            }
            None => match self.ask(name, hop, (interface.mac, port)) {
                Some(mac) => mac,
                None => return,
            },
        };
        let frame = frame(mac, interface.mac, u32::from(LENGTH));
        self.send(&frame, port, Side::LAN, interface.address);
    }

    /// The question and the answer that come before the packet; None where nobody answers.
    fn ask(
        &mut self,
        name: &str,
        hop: Ipv4Addr,
        (mac, port): (MacAddr, PortId),
    ) -> Option<MacAddr> {
        let question = frame(MacAddr::BROADCAST, mac, ARP_LENGTH);
        let facts = self.oracle.ask(&question, port, None);
        if let (verdict @ Verdict::Dropped, reason) = facts.verdict() {
            self.step(name, Decision::Arp, &format!("asks by ARP who has {hop}"));
            self.walk.steps.extend(facts.steps(self.names));
            self.ends(verdict, reason, Some(false));
            return None;
        }
        if hop == address::GATEWAY {
            let mac = self.oracle.mac;
            self.step(
                name,
                Decision::Arp,
                &format!("asks by ARP who has {hop}: the gateway, at {mac}"),
            );
            return Some(mac);
        }
        let owner = owner(self.nodes, hop);
        let heard = owner.and_then(|node| {
            let (at, _) = node.port.as_ref().filter(|(id, _)| facts.egress.contains(id))?;
            Some((node, *at, node.interfaces.iter().find(|i| i.address == hop)?.mac))
        });
        let Some((node, at, found)) = heard else {
            let why = match owner {
                Some(node) => {
                    format!("the question does not reach {}, whose link is down", node.name)
                }
                None => "nobody here has that address".into(),
            };
            self.step(
                name,
                Decision::Arp,
                &format!("asks by ARP who has {hop}, and gets no answer: {why}"),
            );
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
        let _ = bridge.knowing(&[found, mac], By::Port(at), now).decide(
            &answer,
            at,
            now,
            &mut Path::default(),
        );
        Some(found)
    }

    fn of_outside(&mut self) {
        let from = address::SIM_HOSTS[0];
        self.walk.port = self.oracle.uplink.map_or_else(String::new, |id| self.names.port(id));
        self.summarise(from);
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
        let probe = self.probe(side, from);
        let facts = self.oracle.ask(frame, port, Some(&probe));
        self.walk.steps.extend(facts.steps(self.names));
        self.walk.to = facts.egress.iter().map(|id| self.names.port(*id)).collect();
        let (verdict, reason) = facts.verdict();
        let target = owner(self.nodes, self.to).and_then(|node| node.port.as_ref());
        let arrives = match verdict {
            Verdict::Answered => Some(true),
            Verdict::Dropped => Some(false),
            Verdict::Forwarded | Verdict::Flooded => {
                let reached = target.is_none_or(|(id, _)| facts.egress.contains(id));
                Some(reached && !facts.egress.is_empty())
            }
            Verdict::Uplink => self.outside_answers(),
            Verdict::Waits => match facts.note.and_then(|note| note.hop) {
                Some((hop, _)) if self.oracle.uplink.is_some() && !lan(hop) => {
                    self.outside_answers()
                }
                Some((hop, _)) => Some(owner(self.nodes, hop).is_some_and(|node| self.is_up(node))),
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
        if arrives == Some(false) && verdict == Verdict::Flooded {
            self.step(
                "table",
                Decision::Drop,
                "the one it is for is not among them: its link is down",
            );
        }
        self.ends(verdict, reason, arrives);
    }

    /// Whether somebody outside has the address; None where the lab cannot know.
    fn outside_answers(&self) -> Option<bool> {
        self.sim.then(|| self.to == address::SIM_ROUTER || address::SIM_HOSTS.contains(&self.to))
    }

    fn is_up(&self, node: &Node) -> bool {
        let port = node.port.as_ref().and_then(|(id, _)| self.oracle.bridge.port(*id));
        port.is_some_and(|port| port.up)
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

    fn summarise(&mut self, from: Ipv4Addr) {
        let (to, port) = (self.to, self.port);
        self.walk.summary = match self.protocol {
            Protocol::Icmp => format!("{from} > {to} icmp echo request ttl {TTL} length {LENGTH}"),
            Protocol::Tcp => {
                format!("{from}:{FROM_PORT} > {to}:{port} tcp S ttl {TTL} length {LENGTH}")
            }
            Protocol::Udp => {
                format!("{from}:{FROM_PORT} > {to}:{port} udp ttl {TTL} length {LENGTH}")
            }
        };
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

/// The hardware address of a group (RFC 1112 section 6.4).
fn multicast(group: Ipv4Addr) -> MacAddr {
    let [_, b, c, d] = group.octets();
    MacAddr([1, 0, 0x5e, b & 0x7f, c, d])
}

fn lan(address: Ipv4Addr) -> bool {
    address.octets()[..2] == address::NETWORK.octets()[..2]
}

fn frame(dst: MacAddr, src: MacAddr, packet_len: u32) -> Frame {
    Frame::new(dst, src, None, packet_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_is_everyone_s() {
        let own = Ipv4Addr::new(10, 100, 0, 10);
        for (to, prefix, wanted) in [
            ([255, 255, 255, 255], 16, true),
            ([10, 100, 255, 255], 16, true),
            ([10, 100, 0, 255], 16, false),
            ([10, 100, 0, 255], 24, true),
            ([10, 101, 255, 255], 16, false),
            // Of a point-to-point network both addresses are hosts (RFC 3021).
            ([10, 100, 0, 11], 31, false),
            ([10, 100, 0, 10], 32, false),
        ] {
            assert_eq!(is_broadcast(to.into(), own, prefix), wanted, "{to:?}/{prefix}");
        }
    }
}
