//! The question for a hardware address that an imagined packet has to wait for, and its answer: by ARP,
//! or by neighbour discovery (RFC 4861).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use control::api::{Decision, Verdict};
use lab::{Interface, Node};
use switch::{Frame, Path, PortId};
use wire::{MacAddr, arp};

use super::asked::{frame, multicast, owner, solicited};
use super::foretell::{By, Inside};
use super::imagined;
use super::journey::{Journey, nearest, over};
use super::missed;
use super::walk::Facts;

/// An ARP request on Ethernet, and a neighbour solicitation, without the Ethernet header.
const ARP_LENGTH: u32 = 28;
const ND_LENGTH: u32 = 72;

/// Who asks for whom.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    /// By ARP.
    V4([Ipv4Addr; 2]),
    /// By neighbour discovery.
    V6([Ipv6Addr; 2]),
}

impl Ends {
    /// `own` asks for `hop`; None for two families.
    pub(super) fn of(own: IpAddr, hop: IpAddr) -> Option<Self> {
        match (own, hop) {
            (IpAddr::V4(own), IpAddr::V4(hop)) => Some(Self::V4([own, hop])),
            (IpAddr::V6(own), IpAddr::V6(hop)) => Some(Self::V6([own, hop])),
            _ => None,
        }
    }

    fn asks(self) -> String {
        match self {
            Self::V4([_, hop]) => format!("asks by ARP who has {hop}"),
            Self::V6([_, hop]) => format!("asks by neighbour discovery who has {hop}"),
        }
    }

    fn hop(self) -> IpAddr {
        match self {
            Self::V4([_, hop]) => hop.into(),
            Self::V6([_, hop]) => hop.into(),
        }
    }

    fn question(self, mac: MacAddr) -> (Frame, Inside<'static>) {
        match self {
            Self::V4(ends) => (frame(MacAddr::BROADCAST, mac, ARP_LENGTH), Inside::Question(ends)),
            Self::V6(ends @ [_, hop]) => {
                let group = multicast(solicited(hop).into());
                (frame(group, mac, ND_LENGTH), Inside::Question6(ends))
            }
        }
    }

    /// What answers: the frame, and its bytes.
    fn answer(self, mac: MacAddr, found: MacAddr) -> (Frame, Vec<u8>) {
        match self {
            Self::V4([own, hop]) => {
                let answer = frame(mac, found, ARP_LENGTH);
                let bytes = imagined::arp(&answer, arp::Operation::Reply, [hop, own]);
                (answer, bytes)
            }
            Self::V6([own, hop]) => {
                let answer = frame(mac, found, ND_LENGTH);
                let bytes = imagined::discovery(&answer, [hop, own], hop);
                (answer, bytes)
            }
        }
    }
}

impl Journey<'_> {
    /// The question and the answer that come before the packet; None where nobody answers.
    pub(super) fn ask(
        &mut self,
        name: &str,
        ends: Ends,
        (interface, port): (&Interface, PortId),
    ) -> Option<MacAddr> {
        let (mac, hop, asks) = (interface.mac, ends.hop(), ends.asks());
        let (question, inside) = ends.question(mac);
        let all = over(self.names, port, |at| self.oracle.ask(&question, at, inside));
        let facts = all.first()?;
        let owner = owner(self.nodes, hop, interface.network.as_deref());
        if let Some(found) = all.iter().find_map(|facts| facts.answer) {
            let whose = owner.map(|(node, _)| node.name.as_str());
            let far = || self.names.far.values().find_map(|far| far.nodes.get(&found));
            let whose = whose.or_else(|| far().map(String::as_str)).unwrap_or("it");
            let text =
                format!("{asks}: the switch answers for {whose}, at {found} (neigh_suppress)");
            self.step(name, Decision::Arp, &text);
            return Some(found);
        }
        if let (verdict @ Verdict::Dropped, reason) = facts.verdict() {
            self.step(name, Decision::Arp, &asks);
            self.walk.steps.extend(facts.steps(self.names));
            let here = (&self.oracle.bridge, self.names, self.nodes);
            self.walk.steps.extend(missed::told(here, facts, &question, hop));
            self.ends(verdict, reason, Some(false));
            return None;
        }
        let at_gateway = all.iter().find_map(|facts| self.at_gateway(hop, facts));
        if let Some((whose, found)) = at_gateway {
            self.step(name, Decision::Arp, &format!("{asks}: {whose}, at {found}"));
            return Some(found);
        }
        let reached: Vec<PortId> = all.iter().flat_map(Facts::ports).collect();
        let heard = owner.and_then(|(node, own)| {
            let at = own.port.as_ref().map(|port| port.id).filter(|at| reached.contains(at))?;
            Some((node, at, own.mac))
        });
        let deaf = heard.and_then(|(node, at, _)| {
            Some(format!("{}: {}", node.name, self.unheard_at(at, hop, &all)?))
        });
        let heard = heard.filter(|_| deaf.is_none());
        let hosts = reached.iter().find_map(|id| self.names.far.get(id));
        if let (None, Some(hosts)) = (owner, hosts) {
            let all = hosts.all();
            let text =
                format!("{asks}: nobody here, and the other hosts ({all}) say it themselves");
            self.step(name, Decision::Arp, &text);
            self.ends(Verdict::Waits, None, None);
            return None;
        }
        let Some((node, at, found)) = heard else {
            let near = nearest(self.names, &all, owner.map(|(_, own)| own));
            let at = near.map_or(port, |facts| facts.ingress);
            let why = deaf.unwrap_or_else(|| self.unheard(owner, hop, (&question, at)));
            self.step(name, Decision::Arp, &format!("{asks}, and gets no answer: {why}"));
            self.step(
                name,
                Decision::Drop,
                "no-answer: without a hardware address nothing can be sent",
            );
            self.ends(Verdict::Dropped, Some("no-answer"), Some(false));
            return None;
        };
        self.step(name, Decision::Arp, &format!("{asks}: {}, at {found}", node.name));
        // The answer teaches the switch where it came from, in each network on its way.
        let (answer, bytes) = ends.answer(mac, found);
        let (oracle, names) = (&mut self.oracle, self.names);
        let (bridge, now) = (&mut oracle.bridge, oracle.now);
        let (mut next, mut left) = (Some(at), all.len());
        while let Some(at) = next.take().filter(|_| left > 0) {
            left -= 1;
            let mut path = Path::default();
            let known = bridge.knowing(&[found, mac], By::Port(at), now);
            let _ = known.decide_reading(&answer, &bytes, at, now, &mut path);
            next = path.ports().find_map(|id| names.beyond(id));
        }
        Some(found)
    }

    /// Who answers at the gateway's address, and by which hardware address: the gateway itself, of IPv4;
    /// of IPv6 a host that has its addresses too, where the question reaches it.
    fn at_gateway(&self, hop: IpAddr, facts: &Facts) -> Option<(&'static str, MacAddr)> {
        let place = self.gateway(facts.ingress)?;
        match hop {
            IpAddr::V4(hop) if place.address == hop => Some(("the gateway", place.mac)),
            IpAddr::V6(hop) if self.is_on_paper(self.names.home(facts.ingress), hop) => {
                place.host.filter(|host| facts.ports().any(|port| port == *host))?;
                Some(("this host, at the gateway's place", place.mac))
            }
            _ => None,
        }
    }

    fn unheard(
        &self,
        owner: Option<(&Node, &Interface)>,
        hop: IpAddr,
        (question, port): (&Frame, PortId),
    ) -> String {
        match hop {
            IpAddr::V6(hop) if self.is_on_paper(self.names.home(port), hop) => {
                "the gateway, which is to have it, is of IPv4 alone".into()
            }
            _ => missed::unheard((&self.oracle.bridge, self.names), owner, (question, port)),
        }
    }
}
