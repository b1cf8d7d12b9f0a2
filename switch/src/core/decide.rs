//! The decision: given a frame's header and where it came in, where does it go?
//!
//! In this order: what cannot be a frame is refused, its VLAN is found, its source learned, its
//! destination looked up, and each port it would leave by is asked whether it may.

use wire::{MacAddr, Timestamp};

use super::bridge::{Bridge, Port};
use super::fdb_entry::Learned;
use super::fdb_row::EntryKind;
use super::frame::Frame;
use super::network::{Lane, Leg, Network};
use super::path::{Path, Tagging};
use super::port::{Flooded, PortId};
use super::verdict::{Decision, DropReason, Verdict};

/// Where a decided frame comes from.
#[derive(Clone, Copy)]
enum Origin<'a> {
    Port(PortId, &'a Port),
    Station,
}

impl Bridge {
    /// Learns the source, looks the destination up, and says where the frame goes.
    #[inline]
    pub fn decide(
        &self,
        frame: &Frame,
        ingress: PortId,
        now: Timestamp,
        path: &mut Path,
    ) -> Decision {
        path.clear();
        let Some(port) = self.get(ingress) else {
            return dropped(DropReason::UnknownPort, Learned::Off);
        };
        let Some(network) = self.network(port.state.network) else {
            return dropped(DropReason::UnknownPort, Learned::Off);
        };
        if let Some(reason) = refuse(frame, port, network) {
            return dropped(reason, Learned::Off);
        }
        let lane = match network.classify(frame.tag(), &port.state.vlans) {
            Ok(lane) => lane,
            Err(reason) => return dropped(reason, Learned::Off),
        };
        let settings = &port.state.settings;
        if settings.locked && !self.lives_at(frame.src, &lane, ingress, now) {
            return dropped(DropReason::Locked, Learned::Off);
        }
        let learned = if settings.learning {
            self.fdb().learn(frame.src, lane.scope, ingress, settings.learn_limit, now)
        } else {
            Learned::Off
        };
        if learned == Learned::Sticky {
            return dropped(DropReason::StickyMoved, learned);
        }
        if stays(frame.dst, network) {
            return dropped(DropReason::LinkLocal, learned);
        }
        let verdict = match self.lead(frame, Origin::Port(ingress, port), network, &lane, now, path)
        {
            Verdict::Flood if storms(Flooded::to(frame.dst), port, now) => {
                path.clear();
                Verdict::Drop(DropReason::Storm)
            }
            verdict => verdict,
        };
        Decision { verdict, learned }
    }

    /// Where a frame of the station's own goes, by one of its legs; learns nothing.
    pub fn send(&self, frame: &Frame, leg: Leg, now: Timestamp, path: &mut Path) -> Verdict {
        path.clear();
        match self.lane_of(leg) {
            Some((network, lane)) => self.lead(frame, Origin::Station, network, &lane, now, path),
            None => Verdict::Drop(DropReason::UnknownPort),
        }
    }

    /// The way of a frame that has been let in.
    #[inline]
    fn lead(
        &self,
        frame: &Frame,
        from: Origin<'_>,
        network: &Network,
        lane: &Lane,
        now: Timestamp,
        path: &mut Path,
    ) -> Verdict {
        if network.config.local == Some(frame.dst) {
            return match network.leg(lane) {
                Some(leg) => {
                    path.reach(Some(leg));
                    Verdict::Local
                }
                None => Verdict::Drop(DropReason::VlanEgress),
            };
        }
        if !frame.dst.is_group() {
            match self.fdb().lookup(frame.dst, lane.scope, now) {
                Some((_, EntryKind::Blackhole)) => return Verdict::Drop(DropReason::Blackhole),
                Some((egress, _)) => {
                    return self.forward(frame, from, egress, (network, lane), path);
                }
                None => {}
            }
        }
        self.flood(frame, from, network, lane, path)
    }

    #[inline]
    fn forward(
        &self,
        frame: &Frame,
        from: Origin<'_>,
        egress: PortId,
        (network, lane): (&Network, &Lane),
        path: &mut Path,
    ) -> Verdict {
        // A port that has gone to another network meanwhile is not reached from this one.
        let Some(port) = self.get(egress).filter(|port| port.state.network == network.id) else {
            return Verdict::Drop(DropReason::EgressDown);
        };
        match passes(frame, from, egress, port, lane) {
            Ok(tagging) => {
                path.add(egress, tagging);
                Verdict::Forward(egress)
            }
            Err(reason) => Verdict::Drop(reason),
        }
    }

    /// To every port that wants frames of the kind, and to the station for a group. One that
    /// reaches nobody is a drop, so that the counters tell it apart.
    fn flood(
        &self,
        frame: &Frame,
        from: Origin<'_>,
        network: &Network,
        lane: &Lane,
        path: &mut Path,
    ) -> Verdict {
        if frame.dst.is_group()
            && network.config.local.is_some()
            && matches!(from, Origin::Port(..))
        {
            path.reach(network.leg(lane));
        }
        let kind = Flooded::to(frame.dst);
        for id in &network.plugged {
            let Some(port) = self.get(*id) else { continue };
            let settings = &port.state.settings;
            let wanted = match kind {
                Flooded::Broadcast => settings.bcast_flood,
                Flooded::Multicast => settings.mcast_flood,
                Flooded::Unknown => settings.flood,
            };
            if wanted && let Ok(tagging) = passes(frame, from, *id, port, lane) {
                path.add(*id, tagging);
            }
        }
        if path.is_empty() { Verdict::Drop(DropReason::NoTarget) } else { Verdict::Flood }
    }

    /// Whether the table knows an address at this very port.
    #[cold]
    fn lives_at(&self, mac: MacAddr, lane: &Lane, port: PortId, now: Timestamp) -> bool {
        self.fdb().lookup(mac, lane.scope, now).is_some_and(|(home, _)| home == port)
    }
}

/// What is refused before anything is learned.
#[inline]
fn refuse(frame: &Frame, port: &Port, network: &Network) -> Option<DropReason> {
    if !port.state.up && !port.state.expected {
        return Some(DropReason::IngressDown);
    }
    if frame.src.is_group() {
        return Some(DropReason::GroupSource);
    }
    if frame.src == MacAddr::ZERO {
        return Some(DropReason::ZeroSource);
    }
    (network.config.local == Some(frame.src)).then_some(DropReason::OwnSource)
}

/// Whether a frame is to a group that bridges keep to themselves. Bridge protocol data units pass,
/// as nobody here speaks a spanning tree: another switch that does then finds a loop through us.
#[inline]
fn stays(dst: MacAddr, network: &Network) -> bool {
    if !(dst.is_group() && dst.is_link_local()) {
        return false;
    }
    let last = dst.0[5] & 0xf;
    last != 0 && network.config.group_fwd_mask & 1 << last == 0
}

/// Whether a frame may leave by a port, and with which tag.
#[inline]
fn passes(
    frame: &Frame,
    from: Origin<'_>,
    egress: PortId,
    port: &Port,
    lane: &Lane,
) -> Result<Tagging, DropReason> {
    let state = &port.state;
    if let Origin::Port(ingress, source) = from {
        if ingress == egress {
            if !state.settings.hairpin {
                return Err(DropReason::SamePort);
            }
        } else if state.settings.isolation.is_some()
            && state.settings.isolation == source.state.settings.isolation
        {
            return Err(DropReason::Isolated);
        }
    }
    if !state.up {
        return Err(DropReason::EgressDown);
    }
    if frame.packet_len > state.mtu {
        return Err(DropReason::TooBig);
    }
    match &lane.vlan {
        None => Ok(Tagging::Keep),
        Some(carried) => state.vlans.egress(carried).ok_or(DropReason::VlanEgress),
    }
}

/// Counts a flooded frame against its port's limit; true where it is over.
fn storms(kind: Flooded, port: &Port, now: Timestamp) -> bool {
    let Some(limit) = port.state.settings.storm.of(kind) else { return false };
    port.storm.count(kind, now) > limit.into()
}

fn dropped(reason: DropReason, learned: Learned) -> Decision {
    Decision { verdict: Verdict::Drop(reason), learned }
}
