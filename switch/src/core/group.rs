//! Group frames of networks that read them: neighbours answered for (`neigh_suppress`), groups
//! sent to their members (`mcast_snooping`). And what the switch asks of its own, as a querier.
//!
//! Called by the decision for group frames alone, and only where the network has one of the two.

use std::net::IpAddr;

use wire::{MacAddr, Timestamp, VlanId};

use super::bridge::Bridge;
use super::decide::Origin;
use super::frame::Frame;
use super::loops::Loop;
use super::mcast::{self, Ask, Family, Heard, Question, Reach, RouterMode, Snoop};
use super::network::{Lane, Network, NetworkId};
use super::path::{Exit, Path, Tagging};
use super::port::{Flooded, PortId};
use super::suppress;
use super::verdict::{DropReason, Verdict};

/// Frames that the clock has said in one go, about: frames of nodes are forwarded in between, so that those
/// wait no longer for thousands of VLANs to be asked than for a batch.
const QUESTIONS: usize = 64;

/// What there is to read of a frame with a tag of another protocol than its network's: that the tag is its
/// payload.
fn behind_foreign(frame: &Frame, network: &Network) -> Option<[u8; 14]> {
    let tag = frame.tag()?;
    if network.config.vlans.is_none_or(|filter| filter.protocol == tag.tpid) {
        return None;
    }
    let mut whole = [0; 14];
    whole[..6].copy_from_slice(&frame.dst.0);
    whole[6..12].copy_from_slice(&frame.src.0);
    whole[12..].copy_from_slice(&tag.tpid.to_be_bytes());
    Some(whole)
}

impl Bridge {
    /// Where a group frame goes; `bytes` are the frame without its outermost tag.
    #[cold]
    #[inline(never)]
    pub(super) fn group(
        &self,
        (frame, bytes): (&Frame, &[u8]),
        from: Origin<'_>,
        (network, lane): (&Network, &Lane),
        now: Timestamp,
        path: &mut Path,
    ) -> Verdict {
        if network.protects
            && let Origin::Port(ingress, _) = from
            && let Some(sent) = self.guards.own_probe(bytes)
            // One that a link has carried from another network is as another switch's.
            && self.get(sent).is_some_and(|port| port.state.network == network.id)
        {
            path.came_back(Loop { mac: None, ports: [sent, ingress] });
            return Verdict::Drop(DropReason::LoopProtect);
        }
        let foreign = behind_foreign(frame, network);
        let bytes = match &foreign {
            Some(whole) if !bytes.is_empty() => &whole[..],
            _ => bytes,
        };
        if network.suppresses
            && let Origin::Port(ingress, port) = from
            && !port.state.settings.neigh_suppress
            && let Some(question) = suppress::read(bytes)
            && let Some(answer) = self.answer(&question, (network, lane), now)
        {
            if let Some(mac) = answer {
                let mut said = Vec::new();
                suppress::reply(&question, mac, &mut said);
                self.say(said, frame, (ingress, lane), path);
            }
            return match self.flood(frame, from, network, lane, (true, path)) {
                Verdict::Drop(DropReason::NoTarget) => Verdict::Drop(DropReason::NeighSuppress),
                verdict => verdict,
            };
        }
        if let Some(snoop) = &network.snoop
            && Flooded::to(frame.dst) == Flooded::Multicast
            && !bytes.is_empty()
        {
            let seen = (frame, bytes);
            match self.snooped(snoop, seen, from, (network, lane), now, path) {
                Ok(Reach::Members) if path.is_empty() => {
                    return Verdict::Drop(DropReason::NoMember);
                }
                Ok(Reach::Members) => return Verdict::Members,
                Ok(Reach::Everywhere) => {}
                Err(reason) => return Verdict::Drop(reason),
            }
        }
        self.flood(frame, from, network, lane, (false, path))
    }

    /// Whether a question is kept from ports that suppress, and by which address it is answered.
    fn answer(
        &self,
        question: &suppress::Question,
        (network, lane): (&Network, &Lane),
        now: Timestamp,
    ) -> Option<Option<MacAddr>> {
        if question.is_claim {
            return Some(None);
        }
        let mac = *network.neighbours.get(&question.target)?;
        if network.config.local == Some(mac) {
            return Some(None);
        }
        let (home, _) = self.fdb().lookup(mac, lane.scope, now)?;
        let suppresses = self.get(home).is_some_and(|port| port.state.settings.neigh_suppress);
        Some(suppresses.then_some(mac))
    }

    /// The members' and routers' ports, in `path`; or that it goes everywhere.
    fn snooped(
        &self,
        snoop: &Snoop,
        (frame, bytes): (&Frame, &[u8]),
        from: Origin<'_>,
        (network, lane): (&Network, &Lane),
        now: Timestamp,
        path: &mut Path,
    ) -> Result<Reach, DropReason> {
        let vid = lane.vid();
        let heard = mcast::read(frame.dst, bytes).map_err(|_| DropReason::BadMembership)?;
        let mut way = Vec::new();
        let (reach, family) = match &heard {
            Heard::Data { group, source, bounded } => {
                let family = match group {
                    mcast::Group::Ip(address) => Some(Family::of(*address)),
                    mcast::Group::Mac(_) => None,
                };
                (snoop.reach(vid, (*group, *source, *bounded), now, &mut way), family)
            }
            message => {
                if let Origin::Port(ingress, port) = from {
                    let (own, mut asks) = (network.speaks_by(), Vec::new());
                    let at = (ingress, &port.state.settings);
                    snoop.hear(vid, message, at, own, now, &mut asks);
                    let asks = asks.into_iter().map(|ask| (vid, ask));
                    self.ask(snoop, asks, network, path);
                }
                match message {
                    Heard::Join(group) => {
                        let family = Family::of(*group);
                        (snoop.routers(vid, family, now, &mut way), Some(family))
                    }
                    _ => (Reach::Everywhere, None),
                }
            }
        };
        if reach == Reach::Everywhere {
            return Ok(reach);
        }
        // IPv6 cannot do without the groups of its neighbours, which the station does not ask for.
        let station = network.config.mcast.router == RouterMode::Always
            || family == Some(Family::V6)
            || matches!(from, Origin::Station);
        if station && network.config.local.is_some() && matches!(from, Origin::Port(..)) {
            path.reach(network.leg(lane));
        }
        way.extend(&network.routers);
        way.sort_unstable();
        way.dedup();
        for id in way {
            let Some(port) = self.get(id).filter(|port| port.state.network == network.id) else {
                continue;
            };
            if let Ok(tagging) = super::decide::passes(frame, from, id, port, lane) {
                path.add(id, tagging);
            }
        }
        Ok(Reach::Members)
    }

    /// Has a frame of the switch's own said at one port, in answer to one that came in there.
    pub(super) fn say(
        &self,
        bytes: Vec<u8>,
        asked: &Frame,
        (id, lane): (PortId, &Lane),
        path: &mut Path,
    ) {
        let Some(port) = self.get(id) else { return };
        let tagging = match &lane.vlan {
            None => asked.tag().map_or(Tagging::Keep, Tagging::Push),
            Some(carried) => match port.state.vlans.egress(&carried.untagged()) {
                Some(tagging) => tagging,
                None => return,
            },
        };
        path.say(bytes, Exit { port: id, tagging });
    }

    /// Puts questions into frames.
    fn ask(
        &self,
        snoop: &Snoop,
        asks: impl Iterator<Item = (VlanId, Ask)>,
        network: &Network,
        path: &mut Path,
    ) {
        let config = snoop.settings();
        for (vlan, ask) in asks {
            let Some(lane) = network.lane(vlan) else { continue };
            let newer = match ask.family {
                Family::V4 => config.igmp_version >= 3,
                Family::V6 => config.mld_version >= 2,
            };
            let max_delay = match ask.group {
                None => config.query_response_interval,
                Some(_) => config.last_member_interval,
            };
            let question = Question {
                by: network.speaks_by(),
                newer,
                max_delay,
                interval: config.query_interval,
                group: ask.group,
                sources: &ask.sources,
            };
            let mut bytes = Vec::new();
            mcast::query(&question, ask.family, &mut bytes);
            let one = ask.port.as_slice();
            let to = if ask.port.is_some() { one } else { &network.plugged };
            for id in to {
                let Some(port) = self.get(*id) else { continue };
                let tagging = match &lane.vlan {
                    None => Some(Tagging::Keep),
                    Some(carried) => port.state.vlans.egress(carried),
                };
                if let Some(tagging) = tagging.filter(|_| port.state.up && !port.shut) {
                    path.say(bytes.clone(), Exit { port: *id, tagging });
                }
            }
        }
    }

    /// Time has passed: what the switch asks of its own is in `path`. Says when it next wants to be
    /// told; None where nothing is due.
    pub fn tick(&self, now: Timestamp, path: &mut Path) -> Option<Timestamp> {
        let mut next = None;
        let protects = self.all_networks().any(|network| network.protects);
        if protects {
            let (due, then) = self.guards.probe_due(now);
            let networks = self.all_networks().filter(|network| due && network.protects);
            networks.for_each(|network| self.probe(network, now, path));
            self.probe_suspects(now, path);
            next = Some(then);
        }
        for network in self.all_networks() {
            let Some(snoop) = &network.snoop else { continue };
            let then = snoop.tick(network.vlans(), now);
            while path.said() < QUESTIONS
                && let Some(ask) = snoop.due()
            {
                self.ask(snoop, std::iter::once(ask), network, path);
            }
            let then = if snoop.has_due() { Some(now) } else { then };
            next = next.into_iter().chain(then).min();
        }
        next
    }

    /// Whether a frame that comes in by a port is read beyond its header.
    #[must_use]
    #[inline]
    pub fn reads(&self, frame: &Frame, ingress: PortId) -> bool {
        let Some(port) = self.get(ingress) else { return false };
        let of_group = || {
            let network = self.network(port.state.network);
            network.is_some_and(|own| own.reads || own.has_gateway_behind(frame.src, port))
        };
        port.state.sources.is_some() || frame.dst.is_group() && of_group()
    }

    /// Whether a network snoops, or looks for loops: then [`Bridge::tick`] wants to be called.
    #[must_use]
    pub fn has_clock(&self) -> bool {
        self.all_networks().any(|network| network.snoop.is_some() || network.protects)
    }

    /// By which address a neighbour is known in the network of a port.
    #[must_use]
    pub fn neighbour(&self, ip: IpAddr, ingress: PortId) -> Option<MacAddr> {
        self.network(self.get(ingress)?.state.network)?.neighbours.get(&ip).copied()
    }

    /// Says which neighbours of a network are known, to answer for them.
    pub fn set_neighbours(&mut self, id: NetworkId, known: super::Neighbours) {
        if let Some(network) = self.network_mut(id) {
            network.neighbours = known;
        }
    }
}
