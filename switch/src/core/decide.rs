//! The decision: given a frame's header and where it came in, where does it go?
//!
//! In this order: what cannot be a frame is refused, its VLAN is found, its source learned, its
//! destination looked up, and each port it would leave by is asked whether it may.

use wire::{MacAddr, Timestamp, VlanTag};

use super::bridge::{Bridge, Port};
use super::fdb_entry::Learned;
use super::fdb_row::EntryKind;
use super::fids::Scope;
use super::frame::Frame;
use super::network::{Lane, Leg, Network};
use super::path::{Path, Tagging};
use super::port::{Flooded, PortId, PortSettings};
use super::verdict::{Decision, DropReason, Verdict};
use super::withheld::Withheld;

/// Where a link's two ends pause each other (IEEE 802.3, annex 31B).
const PAUSE: MacAddr = MacAddr([0x01, 0x80, 0xc2, 0, 0, 0x01]);

/// Where a decided frame comes from.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    Port(PortId, &'a Port),
    Station,
}

impl Network {
    /// Whether a frame is the gateway's own: the station's, or its host's.
    #[inline]
    pub(super) fn is_own(&self, from: Origin<'_>) -> bool {
        match from {
            Origin::Station => true,
            Origin::Port(ingress, _) => self.config.host == Some(ingress),
        }
    }
}

impl Bridge {
    /// What is left of a frame's tag where the station is given it, which came in by a port. The tag that
    /// told its VLAN is off, as the kernel's bridge takes it off on the way up (`br_handle_vlan`); one of
    /// another protocol is payload, and any is where VLANs are not told apart.
    #[must_use]
    pub fn tag_given(&self, tag: Option<VlanTag>, ingress: PortId) -> Option<VlanTag> {
        let carried = self.lane(Some(tag?), ingress).and_then(|lane| lane.vlan);
        tag.filter(|_| !carried.is_some_and(|carried| carried.is_told()))
    }

    /// Learns the source, looks the destination up, and says where the frame goes.
    #[inline]
    pub fn decide(
        &self,
        frame: &Frame,
        ingress: PortId,
        now: Timestamp,
        path: &mut Path,
    ) -> Decision {
        self.decide_all(frame, &[], ingress, now, path)
    }

    /// The same, where [`Bridge::reads`] asks for the frame's bytes: from its destination address on,
    /// without the outermost tag.
    pub fn decide_reading(
        &self,
        frame: &Frame,
        bytes: &[u8],
        ingress: PortId,
        now: Timestamp,
        path: &mut Path,
    ) -> Decision {
        self.decide_all(frame, bytes, ingress, now, path)
    }

    #[expect(clippy::inline_always, reason = "for each frame, and once without bytes")]
    #[inline(always)]
    fn decide_all(
        &self,
        frame: &Frame,
        bytes: &[u8],
        ingress: PortId,
        now: Timestamp,
        path: &mut Path,
    ) -> Decision {
        path.clear();
        let Some(port) = self.get(ingress) else {
            return dropped(DropReason::UnknownPort, Learned::Off);
        };
        let Some(network) = self.network(port.state.network) else {
            return dropped(DropReason::NoNetwork, Learned::Off);
        };
        if let Some(reason) = refuse(frame, (ingress, port), network) {
            return dropped(reason, Learned::Off);
        }
        if let Some(sources) = &port.state.sources
            && !sources.lets_in(frame.src, bytes)
        {
            return dropped(DropReason::Spoofed, Learned::Off);
        }
        let lane = match (frame.tag(), port.native) {
            (None, Some(lane)) => lane,
            (tag, _) => match network.classify(tag, &port.state.vlans) {
                Ok(lane) => lane,
                Err(reason) => return dropped(reason, Learned::Off),
            },
        };
        if lane.vlan.is_some() {
            path.let_into(Some(lane.vid()));
        }
        let settings = &port.state.settings;
        let of_gateway = network.has_gateway_behind(frame.src, port);
        if settings.locked
            && let Some(learned) = self.keeps_out(frame.src, lane.scope, (ingress, port), now)
        {
            return dropped(DropReason::Locked, learned);
        }
        // The kernel's bridge drops PAUSE before it learns (net/bridge/br_input.c, `br_handle_frame`). The
        // gateway's address is at every host, and here is ours.
        let learned = if settings.learning && frame.dst != PAUSE && !of_gateway {
            self.fdb().learn(frame.src, lane.scope, ingress, settings.learn_limit, now)
        } else {
            Learned::Off
        };
        if stays(frame.dst, network, port) {
            // The kernel's bridge does not count those as its VLAN's either.
            path.let_into(None);
            return dropped(DropReason::LinkLocal, learned);
        }
        let (seen, from) = ((frame, bytes), Origin::Port(ingress, port));
        let led = match of_gateway {
            true => self.lead_of_gateway(seen, (ingress, port), (network, &lane), now, path),
            false => self.lead(seen, from, (network, &lane), now, path),
        };
        let verdict = match led {
            Verdict::Flood if storms(Flooded::to(frame.dst), port, now) => {
                path.close();
                Verdict::Drop(DropReason::Storm)
            }
            verdict => verdict,
        };
        Decision { verdict, learned }
    }

    /// Where a frame of the station's own goes, by one of its legs; learns nothing.
    pub fn send(&self, frame: &Frame, leg: Leg, now: Timestamp, path: &mut Path) -> Verdict {
        self.send_reading(frame, &[], leg, now, path)
    }

    /// The same with the frame's bytes, which are read where it is a group's.
    pub fn send_reading(
        &self,
        frame: &Frame,
        bytes: &[u8],
        leg: Leg,
        now: Timestamp,
        path: &mut Path,
    ) -> Verdict {
        path.clear();
        match self.lane_of(leg) {
            Some((network, lane)) => {
                path.let_into(lane.vlan.map(|_| lane.vid()));
                let seen = (frame, bytes);
                self.lead(seen, Origin::Station, (network, &lane), now, path)
            }
            None => Verdict::Drop(DropReason::UnknownPort),
        }
    }

    /// Where a frame goes that the station gives, as it is, to the host that has its address too.
    pub fn send_to_host(&self, frame: &Frame, leg: Leg, path: &mut Path) -> Verdict {
        path.clear();
        let lane = self.lane_of(leg);
        match lane.and_then(|(network, lane)| Some((network.config.host?, network, lane))) {
            Some((host, network, lane)) => {
                self.forward(frame, Origin::Station, host, (network, &lane), path)
            }
            None => Verdict::Drop(DropReason::NoTarget),
        }
    }

    /// The way of a frame that has been let in.
    #[inline]
    pub(super) fn lead(
        &self,
        (frame, bytes): (&Frame, &[u8]),
        from: Origin<'_>,
        (network, lane): (&Network, &Lane),
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
                Some((_, EntryKind::Local)) => return Verdict::Drop(DropReason::OwnPort),
                Some((egress, _)) => {
                    return self.forward(frame, from, egress, (network, lane), path);
                }
                None => {}
            }
        } else if network.reads {
            return self.group((frame, bytes), from, (network, lane), now, path);
        }
        self.flood(frame, from, network, lane, (false, path))
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

    /// To every port that wants frames of the kind, and to the station for a group; where it is
    /// `answered`, not to ports that suppress questions. One that reaches nobody is a drop, so that
    /// the counters tell it apart.
    pub(super) fn flood(
        &self,
        frame: &Frame,
        from: Origin<'_>,
        network: &Network,
        lane: &Lane,
        (answered, path): (bool, &mut Path),
    ) -> Verdict {
        if frame.dst.is_group()
            && network.config.local.is_some()
            && matches!(from, Origin::Port(..))
        {
            path.reach(network.leg(lane));
        }
        let kind = Flooded::to(frame.dst);
        if kind == Flooded::Unknown && network.owns(frame.dst) {
            return Verdict::Drop(DropReason::OwnPort);
        }
        for id in &network.plugged {
            let Some(port) = self.get(*id) else { continue };
            // What the station says of its own it says for the host as well.
            let itself = matches!(from, Origin::Station) && network.config.host == Some(*id);
            let wanted = wants(port, kind, network.is_own(from), answered).is_ok() && !itself;
            if wanted && let Ok(tagging) = passes(frame, from, *id, port, lane) {
                path.add(*id, tagging);
            }
        }
        if path.is_empty() { Verdict::Drop(DropReason::NoTarget) } else { Verdict::Flood }
    }

    /// What the table made of an address that a locked port keeps out; None where it is let in, for
    /// the table knows it at this very port.
    #[cold]
    fn keeps_out(
        &self,
        mac: MacAddr,
        scope: Scope,
        (id, port): (PortId, &Port),
        now: Timestamp,
    ) -> Option<Learned> {
        let PortSettings { mab, learn_limit, .. } = port.state.settings;
        match self.fdb().lookup(mac, scope, now) {
            Some((home, EntryKind::Locked)) if home == id && mab => {
                Some(self.fdb().learn(mac, scope, id, learn_limit, now))
            }
            Some((home, kind)) if home == id => {
                matches!(kind, EntryKind::Locked | EntryKind::Local).then_some(Learned::Off)
            }
            None if mab => Some(self.fdb().learn_locked(mac, scope, id, learn_limit, now)),
            Some(_) | None => Some(Learned::Off),
        }
    }
}

/// What is refused before anything is learned.
#[inline]
fn refuse(
    frame: &Frame,
    (ingress, port): (PortId, &Port),
    network: &Network,
) -> Option<DropReason> {
    if port.closed {
        let shut = port.shut.then_some(DropReason::LoopProtect);
        return shut.or(Some(DropReason::IngressDown));
    }
    if frame.src.is_group() {
        return Some(DropReason::GroupSource);
    }
    if frame.src == MacAddr::ZERO {
        return Some(DropReason::ZeroSource);
    }
    // Where it is known who may speak, that is looked at next.
    let known = network.config.host == Some(ingress) || port.state.sources.is_some();
    let forged = network.guarded == Some(frame.src) && !known;
    (forged && !network.has_gateway_behind(frame.src, port)).then_some(DropReason::OwnSource)
}

/// Whether a frame is to a group that bridges keep to themselves. Bridge protocol data units pass,
/// as nobody here speaks a spanning tree: another switch that does then finds a loop through us.
#[inline]
fn stays(dst: MacAddr, network: &Network, port: &Port) -> bool {
    if !(dst.is_group() && dst.is_link_local()) {
        return false;
    }
    let last = dst.0[5] & 0xf;
    let mask = network.config.passed_groups() | port.state.settings.group_fwd_mask;
    last != 0 && mask & 1 << last == 0
}

/// Whether a frame may leave by a port, and with which tag.
#[inline]
pub(super) fn passes(
    frame: &Frame,
    from: Origin<'_>,
    egress: PortId,
    port: &Port,
    lane: &Lane,
) -> Result<Tagging, DropReason> {
    let state = &port.state;
    if let Origin::Port(ingress, source) = from {
        if ingress == egress && !state.settings.hairpin {
            return Err(DropReason::SamePort);
        }
        // A port is among those it is isolated from.
        let (of, to) = (&source.state.settings, &state.settings);
        if to.isolation.is_some() && to.isolation == of.isolation || !of.reach.to(to.reach) {
            return Err(DropReason::Isolated);
        }
    }
    if !state.up || port.shut {
        let shut = port.shut.then_some(DropReason::LoopProtect);
        return Err(shut.unwrap_or(DropReason::EgressDown));
    }
    if frame.packet_len > state.mtu {
        return Err(DropReason::TooBig);
    }
    match &lane.vlan {
        None => Ok(Tagging::Keep),
        Some(carried) => state.vlans.egress(carried).ok_or(DropReason::VlanEgress),
    }
}

/// Whether a port takes flooded frames of the kind, of groups those that are the gateway's `own` in any
/// case (net/bridge/br_forward.c, `br_flood`); where the switch has `answered` a question itself, not those
/// that suppress such.
#[inline]
pub(super) fn wants(port: &Port, kind: Flooded, own: bool, answered: bool) -> Result<(), Withheld> {
    let settings = &port.state.settings;
    let wanted = match kind {
        Flooded::Broadcast => settings.bcast_flood || own,
        Flooded::Multicast => settings.mcast_flood || own,
        Flooded::Unknown => settings.flood,
    };
    if !wanted {
        return Err(Withheld::Flag(kind));
    }
    if answered && settings.neigh_suppress { Err(Withheld::Answered) } else { Ok(()) }
}

/// Counts a flooded frame against its port's limit; true where it is over.
fn storms(kind: Flooded, port: &Port, now: Timestamp) -> bool {
    let Some(limit) = port.state.settings.storm.of(kind) else { return false };
    port.storm.count(kind, now) > limit.into()
}

fn dropped(reason: DropReason, learned: Learned) -> Decision {
    Decision { verdict: Verdict::Drop(reason), learned }
}
