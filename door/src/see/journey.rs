//! An imagined packet on its way: out of its node, through the switch and the gateway, to its end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use control::api::{Decision, Step, Verdict, Walk};
use gateway::{Endpoint, LegId, Probe, Protocol, Side};
use lab::{Interface, Node, address, station};
use switch::{Frame, Handling, Outcome, PortId};
use topology::{Address, Subnet};
use wire::{IpProtocol, MacAddr, tcp};

use super::asked::{FROM_PORT, TTL, frame, length, multicast, owner, summary};
use super::explain::{OUTSIDE, Place};
use super::foretell::{Inside, Oracle};
use super::imagined;
use super::kernel::Kernel;
use super::missed;
use super::names::Names;
use super::question;
use super::walk::Facts;

/// A packet on its imagined way.
pub(super) struct Journey<'a> {
    pub(super) walk: Walk,
    pub(super) names: &'a Names,
    pub(super) nodes: &'a [Node],
    pub(super) oracle: Oracle<'a>,
    pub(super) sim: bool,
    /// The gateway's places in the lab's networks, and these networks' subnets.
    pub(super) gateways: Vec<Place>,
    pub(super) subnets: Vec<Subnet>,
    /// The gateway's addresses of IPv6, with their networks.
    pub(super) paper: Vec<(String, Ipv6Addr)>,
    pub(super) to: IpAddr,
    /// The interface of the host that the uplink waits for, and why.
    pub(super) awaited: Option<(String, String)>,
    /// Whether the node that was given that address has it no more.
    pub(super) is_lost: bool,
    /// The hardware addresses that the node with that address listens to, where it is asked.
    pub(super) hears: Option<Vec<MacAddr>>,
    /// The interface that it is to leave by.
    pub(super) by: Option<&'a str>,
    /// What it carries; a port of it is 0 where it has none.
    pub(super) protocol: IpProtocol,
    pub(super) port: u16,
    /// The frame as it comes to the switch, and its bytes.
    pub(super) sent: Option<(Frame, PortId, Vec<u8>)>,
}

impl Journey<'_> {
    pub(super) fn of_node(&mut self, node: &Node, kernel: &Kernel) {
        let Some(first) = node.interfaces.first() else { return };
        let name = node.name.as_str();
        let hop = kernel.hop(self.to, self.by);
        // The interface that the node's kernel would send it by.
        let by = |(_, by): (_, &str)| node.interfaces.iter().find(|own| own.name == by);
        let interface = hop.and_then(by).unwrap_or(first);
        let own = self.source((node, interface), hop.map(|(hop, _)| hop), kernel);
        self.walk.port = interface.port.as_ref().map_or_else(String::new, |port| port.name.clone());
        let network = interface.port.as_ref().and_then(|port| self.names.network(port.id));
        self.walk.network = network.map(Into::into);
        self.walk.summary = summary(self.protocol, own, (self.to, self.port));
        if node.interface(self.to).is_some() || kernel.has(self.to) || self.to.is_loopback() {
            self.step(name, Decision::Local, "its own address: it stays inside the node");
            return self.ends(Verdict::Local, None, Some(true));
        }
        let Some((hop, _)) = hop else {
            let by = self.by.map(|by| format!(" by {by}")).unwrap_or_default();
            let what = match kernel.refuses(self.to, self.by) {
                true => "has a route that refuses",
                false => "has no route to",
            };
            let text = format!("no-route: {name} {what} {}{by}", self.to);
            self.step(name, Decision::Drop, &text);
            return self.ends(Verdict::Dropped, Some("no-route"), Some(false));
        };
        let everyone = matches!(self.to, IpAddr::V4(to) if kernel.is_broadcast(to));
        if Protocol::of(self.protocol) == Some(Protocol::Tcp)
            && (everyone || self.to.is_multicast())
        {
            // RFC 1122, 4.2.3.10.
            let to = self.to;
            let text = format!("no-route: {to} is not one host: {name}'s TCP does not speak to it");
            self.step(name, Decision::Drop, &text);
            return self.ends(Verdict::Dropped, Some("no-route"), Some(false));
        }
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
        let mac = match kernel.neighbour(hop, &interface.name) {
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
            None => {
                let asked = question::Ends::of(own, hop);
                match asked.and_then(|ends| self.ask(name, ends, (interface, port))) {
                    Some(mac) => mac,
                    None => return,
                }
            }
        };
        let frame = frame(mac, interface.mac, u32::from(length(self.to)));
        self.send(&frame, port, own);
    }

    /// The address that the packet comes from: of IPv4 the first of the next hop's subnet, else the first of the
    /// interface, else of another.
    fn source(
        &self,
        (node, interface): (&Node, &Interface),
        hop: Option<IpAddr>,
        kernel: &Kernel,
    ) -> IpAddr {
        if let IpAddr::V6(to) = self.to {
            let own = kernel.v6.source(to, &interface.name);
            return own.unwrap_or_else(|| interface.link_local()).into();
        }
        let here = || interface.addresses.iter().filter(|own| own.ip.is_ipv4());
        let beside = |own: &&Address| {
            hop.is_some_and(|hop| own.subnet().is_some_and(|subnet| subnet.contains(hop)))
        };
        let own = here().find(beside).or_else(|| here().next()).map(|own| own.ip);
        let other = || node.ipv4().map(IpAddr::V4);
        own.or_else(other).unwrap_or(Ipv4Addr::UNSPECIFIED.into())
    }

    pub(super) fn of_outside(&mut self) {
        let from = address::SIM_HOSTS[0];
        self.walk.port = self.oracle.uplink.map_or_else(String::new, |id| self.names.port(id));
        self.walk.summary = summary(self.protocol, from.into(), (self.to, self.port));
        self.step(
            OUTSIDE,
            Decision::Sends,
            "a host outside sends it to the gateway's outside address",
        );
        let Some(port) = self.oracle.uplink else { return };
        let frame = frame(MacAddr::ZERO, MacAddr::ZERO, u32::from(length(self.to)));
        self.send(&frame, port, from.into());
    }

    fn send(&mut self, frame: &Frame, port: PortId, from: IpAddr) {
        let bytes = match (from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                imagined::packet(frame, &self.probe(self.side(port), from, to))
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                imagined::packet6(frame, [from, to], self.protocol.0)
            }
            // Their families are those of one packet.
            _ => Vec::new(),
        };
        self.sent = Some((*frame, port, bytes));
        let all = over(self.names, port, |at| {
            let side = self.side(at);
            match (from, self.to) {
                (IpAddr::V6(from), IpAddr::V6(to)) => {
                    let leg = if let Side::Leg(leg) = side { leg } else { LegId::FIRST };
                    let protocol = self.protocol.0;
                    self.oracle.ask(frame, at, Inside::Packet6([from, to], protocol, leg))
                }
                (IpAddr::V4(from), IpAddr::V4(to)) => {
                    let probe = self.probe(side, from, to);
                    self.oracle.ask(frame, at, Inside::Packet(&probe))
                }
                _ => self.oracle.ask(frame, at, Inside::Nothing),
            }
        });
        all.iter().for_each(|facts| self.walk.steps.extend(facts.steps(self.names)));
        let egress: Vec<PortId> = all.iter().flat_map(Facts::ports).collect();
        self.walk.to = egress.iter().map(|id| self.names.port(*id)).collect();
        // One that goes on by a link alone ends where the last network sends it.
        let goes_on = |facts: &&Facts| matches!(facts.egress.as_slice(), [only] if self.names.beyond(only.port).is_some());
        let Some(facts) = all.iter().find(|facts| !goes_on(facts)).or(all.last()) else { return };
        let (verdict, reason) = facts.verdict();
        let owner = owner(self.nodes, self.to, self.names.home(port));
        let target = owner.and_then(|(_, own)| own.port.as_ref());
        // A node that is to forward it.
        let hops = self.nodes.iter().flat_map(|node| &node.interfaces);
        let meant =
            |hop: &&Interface| hop.mac == frame.dst && !owner.is_some_and(|(_, o)| o == *hop);
        let mut routers = hops.filter(meant);
        let router = routers.find_map(|hop| hop.port.as_ref());
        // The gateway has sent it on, though the host's place has its address too.
        let is_routed = matches!(facts.outcome, Outcome::Station(Handling::ToBridge(_)));
        let router = router.filter(|_| !is_routed);
        let unheard = owner.filter(|_| [Verdict::Forwarded, Verdict::Flooded].contains(&verdict));
        let unheard = unheard.and_then(|(node, own)| {
            let at = own.port.as_ref().filter(|port| egress.contains(&port.id))?;
            let unheard = self.unheard_at(at.id, self.to, &all);
            let unheard = unheard.or_else(|| self.astray((at.id, own.mac), frame, &all));
            Some((node.name.as_str(), unheard?))
        });
        if let Some((node, why)) = unheard.filter(|_| router.is_none()) {
            self.step(node, Decision::Drop, &why);
            return self.ends(verdict, reason, Some(false));
        }
        let nobodys = owner.is_none() && self.is_nobodys(frame, facts);
        let arrives = match verdict {
            Verdict::Answered => Some(true),
            Verdict::Dropped => Some(false),
            Verdict::Forwarded | Verdict::Flooded if router.is_some() => {
                // What that node's kernel makes of it is not asked.
                let reached = router.is_some_and(|port| egress.contains(&port.id));
                (!reached).then_some(false)
            }
            Verdict::Forwarded | Verdict::Flooded => {
                let reached = target.is_none_or(|port| egress.contains(&port.id));
                // What another host makes of it, that host knows.
                let here = target.is_some() || !egress.iter().any(|id| self.is_far(*id));
                here.then_some(reached && !egress.is_empty() && !nobodys)
            }
            Verdict::Uplink => self.outside_answers(),
            Verdict::Waits => match facts.note.and_then(|note| note.hop) {
                Some((hop, _)) if self.oracle.uplink.is_some() && !self.is_inside(hop) => {
                    self.outside_answers()
                }
                Some((hop, _)) => Some(self.is_up(hop) && !(self.is_lost && self.to == hop)),
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
            let near = nearest(self.names, &all, owner.map(|(_, own)| own)).unwrap_or(facts);
            self.walk.steps.extend(missed::told(here, near, frame, self.to));
            if nobodys {
                let text = format!("no-target: nobody has the hardware address {}", frame.dst);
                self.step("table", Decision::Drop, &text);
            }
        }
        if let Some((name, why)) = self.awaited.take().filter(|_| reason == Some("no-route")) {
            let text = format!("there is no way out: {name} is waited for: {why}");
            self.step(OUTSIDE, Decision::Drop, &text);
        }
        self.ends(verdict, reason, arrives);
    }

    /// The gateway's side that a frame at a port comes to, if it comes to the gateway.
    fn side(&self, port: PortId) -> Side {
        if Some(port) == self.oracle.uplink {
            return Side::Uplink;
        }
        self.gateway(port).map_or(Side::LAN, |own| Side::Leg(own.leg))
    }

    /// Whether somebody outside has the address; None where the lab cannot know.
    fn outside_answers(&self) -> Option<bool> {
        let simulated =
            |to: Ipv4Addr| to == address::SIM_ROUTER || address::SIM_HOSTS.contains(&to);
        self.sim.then(|| matches!(self.to, IpAddr::V4(to) if simulated(to)))
    }

    /// The gateway's place among a port's frames without a tag.
    pub(super) fn gateway(&self, port: PortId) -> Option<&Place> {
        let leg = self.oracle.bridge.leg(port)?;
        self.gateways.iter().find(|own| station::leg(own.leg) == leg)
    }

    /// Whether the gateway is to have an address of IPv6 in a network.
    pub(super) fn is_on_paper(&self, network: Option<&str>, address: Ipv6Addr) -> bool {
        self.paper.iter().any(|(name, own)| Some(name.as_str()) == network && *own == address)
    }

    /// Whether somebody has this address, at a port that is up.
    fn is_up(&self, hop: Ipv4Addr) -> bool {
        let owner = owner(self.nodes, hop.into(), None).and_then(|(_, own)| own.port.as_ref());
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

    fn probe(&self, side: Side, from: Ipv4Addr, to: Ipv4Addr) -> Probe {
        let (src, dst) = match Protocol::of(self.protocol) {
            Some(Protocol::Icmp) => (1, 0),
            Some(_) => (FROM_PORT, self.port),
            None => (0, 0),
        };
        Probe {
            side,
            protocol: self.protocol,
            src: Endpoint::new(from, src),
            dst: Endpoint::new(to, dst),
            flags: tcp::Flags(tcp::Flags::SYN),
            length: length(self.to),
            ttl: TTL,
            dont_fragment: true,
        }
    }

    pub(super) fn step(&mut self, at: &str, decision: Decision, text: &str) {
        let (at, text) = (at.into(), text.into());
        self.walk.steps.push(Step { at, decision, text, age: None });
    }

    pub(super) fn ends(&mut self, verdict: Verdict, reason: Option<&str>, arrives: Option<bool>) {
        self.walk.verdict = verdict;
        self.walk.reason = reason.map(Into::into);
        self.walk.arrives = arrives;
    }
}

/// More networks than these no imagined frame goes through: a ring of links ends here too.
const NETWORKS: usize = 64;

/// What becomes of a frame that comes in at a port, and where it goes on over links between networks, of
/// it there.
pub(super) fn over(
    names: &Names,
    port: PortId,
    mut ask: impl FnMut(PortId) -> Facts,
) -> Vec<Facts> {
    let (mut ports, mut all) = (vec![port], Vec::<Facts>::new());
    while let Some(at) = ports.get(all.len()).copied() {
        let facts = ask(at);
        for next in facts.ports().filter_map(|id| names.beyond(id)) {
            if !ports.contains(&next) && ports.len() < NETWORKS {
                ports.push(next);
            }
        }
        all.push(facts);
    }
    all
}

/// Of a frame in several networks, what becomes of it where an interface is.
pub(super) fn nearest<'f>(
    names: &Names,
    all: &'f [Facts],
    interface: Option<&Interface>,
) -> Option<&'f Facts> {
    let home = names.home(interface?.port.as_ref()?.id);
    all.iter().find(|facts| names.home(facts.ingress) == home)
}
