//! The decision: given a frame's header and where it came in, where does it go?
//!
//! One a worker; the table behind it is shared. Holds the ports' settings; the counts of
//! storm control are shared too. Never sees a socket.

use std::sync::Arc;

use wire::{MacAddr, Timestamp, VlanId};

use super::fdb::{Fdb, Learned};
use super::fdb_row::EntryKind;
use super::port::{Flooded, PortId, PortState};
use super::storm::{Storm, Storms};
use super::verdict::{Decision, DropReason, Verdict};

/// What holds for the whole bridge.
#[derive(Clone, Copy, Debug, Default)]
pub struct BridgeConfig {
    /// The station's address, if there is a station.
    pub local: Option<MacAddr>,
    /// Link-local groups let through: bit n stands for 01:80:c2:00:00:0n (`group_fwd_mask`).
    pub link_local_mask: u16,
}

/// What a decision looks at.
///
/// In this order in memory: two addresses side by side are written as one piece and read as two,
/// and then the core has to wait for the write.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Frame {
    /// Destination address.
    pub dst: MacAddr,
    /// VLAN; [`VlanId::NONE`] for untagged.
    pub vlan: VlanId,
    /// Source address.
    pub src: MacAddr,
    /// Bytes of the largest layer-3 packet it becomes (after segmentation, for GSO frames).
    pub packet_len: u32,
}

/// The bridge.
pub struct Bridge {
    config: BridgeConfig,
    fdb: Arc<Fdb>,
    storms: Arc<Storms>,
    ports: Vec<Option<Port>>,
    /// The plugged ports in ascending order: what a flood walks over.
    plugged: Vec<PortId>,
}

struct Port {
    state: PortState,
    storm: Arc<Storm>,
}

impl Bridge {
    /// A bridge without ports.
    #[must_use]
    pub fn new(config: BridgeConfig, fdb: Arc<Fdb>) -> Self {
        Self::counting(config, fdb, Arc::default())
    }

    /// The same for one of several workers that count their ports' floods together.
    #[must_use]
    pub fn counting(config: BridgeConfig, fdb: Arc<Fdb>, storms: Arc<Storms>) -> Self {
        Self { config, fdb, storms, ports: Vec::new(), plugged: Vec::new() }
    }

    /// The same ports and settings over another table: to try things out beside the real one.
    #[must_use]
    pub fn aside(&self, fdb: Arc<Fdb>) -> Self {
        let mut aside = Self::new(self.config, fdb);
        for id in self.plugged() {
            if let Some(state) = self.port(id) {
                aside.set_port(id, state);
            }
        }
        aside
    }

    /// The table.
    #[must_use]
    pub fn fdb(&self) -> &Fdb {
        &self.fdb
    }

    /// Plugs a port in, or changes what is known of it.
    pub fn set_port(&mut self, id: PortId, state: PortState) {
        if id.index() >= PortId::MAX {
            return;
        }
        if self.ports.len() <= id.index() {
            self.ports.resize_with(id.index() + 1, || None);
        }
        match &mut self.ports[id.index()] {
            Some(port) => port.state = state,
            empty => {
                *empty = Some(Port { state, storm: self.storms.of(id) });
                self.plugged.push(id);
                self.plugged.sort_unstable();
            }
        }
    }

    /// Unplugs a port. Its addresses are the caller's to forget ([`Fdb::forget_port`]): the table
    /// is shared, and one worker's doing it is enough.
    pub fn remove_port(&mut self, id: PortId) {
        if let Some(port) = self.ports.get_mut(id.index()) {
            *port = None;
            self.storms.forget(id);
        }
        self.plugged.retain(|p| *p != id);
    }

    /// The station's address, if there is a station.
    #[must_use]
    pub fn local(&self) -> Option<MacAddr> {
        self.config.local
    }

    /// What is known of a port.
    #[must_use]
    pub fn port(&self, id: PortId) -> Option<PortState> {
        self.get(id).map(|port| port.state)
    }

    /// Learns the source, looks the destination up, and says where the frame goes.
    pub fn decide(&mut self, frame: &Frame, ingress: PortId, now: Timestamp) -> Decision {
        let Some(Port { state, .. }) = self.get(ingress) else {
            return dropped(DropReason::UnknownPort, Learned::Off);
        };
        if let Some(reason) = self.refuse(frame, state) {
            return dropped(reason, Learned::Off);
        }
        let learned = if state.settings.learning {
            let limit = state.settings.learn_limit;
            self.fdb.learn(frame.src, frame.vlan, ingress, limit, now)
        } else {
            Learned::Off
        };
        if learned == Learned::Sticky {
            return dropped(DropReason::StickyMoved, learned);
        }
        let verdict = match self.route(frame, ingress, now) {
            Verdict::Flood if self.storms(Flooded::to(frame.dst), ingress, now) => {
                Verdict::Drop(DropReason::Storm)
            }
            verdict => verdict,
        };
        Decision { verdict, learned }
    }

    /// What [`Self::decide`] would say, storms apart; nothing is learned.
    #[must_use]
    pub fn preview(&self, frame: &Frame, ingress: PortId, now: Timestamp) -> Verdict {
        let Some(state) = self.port(ingress) else {
            return Verdict::Drop(DropReason::UnknownPort);
        };
        if let Some(reason) = self.refuse(frame, &state) {
            return Verdict::Drop(reason);
        }
        let home = self.fdb.lookup(frame.src, frame.vlan, now).filter(|_| state.settings.learning);
        match home {
            Some((home, EntryKind::Sticky)) if home != ingress => {
                Verdict::Drop(DropReason::StickyMoved)
            }
            // Deciding learns the source first, which only matters for a frame to itself.
            Some((_, EntryKind::Learned)) if frame.dst == frame.src => {
                self.forward(frame, ingress, ingress)
            }
            None if frame.dst == frame.src && state.settings.learning => {
                self.forward(frame, ingress, ingress)
            }
            _ => self.route(frame, ingress, now),
        }
    }

    /// Where a frame of `ingress` would go; learns nothing. The station's own frames come in by
    /// [`PortId::LOCAL`].
    #[must_use]
    #[inline]
    pub fn route(&self, frame: &Frame, ingress: PortId, now: Timestamp) -> Verdict {
        if self.config.local == Some(frame.dst) {
            return Verdict::Local;
        }
        if !frame.dst.is_group() {
            match self.fdb.lookup(frame.dst, frame.vlan, now) {
                Some((_, EntryKind::Blackhole)) => return Verdict::Drop(DropReason::Blackhole),
                Some((egress, _)) => return self.forward(frame, ingress, egress),
                None => {}
            }
        }
        // A flood that reaches nobody is a drop, so that the counters tell it apart.
        let heard = frame.dst.is_group() && self.config.local.is_some() && ingress != PortId::LOCAL;
        if heard || self.flood_set(frame, ingress).next().is_some() {
            Verdict::Flood
        } else {
            Verdict::Drop(DropReason::NoTarget)
        }
    }

    /// The ports a flooded frame goes to.
    pub fn flood_set<'a>(
        &'a self,
        frame: &'a Frame,
        ingress: PortId,
    ) -> impl Iterator<Item = PortId> + 'a {
        self.plugged.iter().copied().filter(move |id| {
            self.get(*id).is_some_and(|port| {
                let settings = &port.state.settings;
                let wanted = match Flooded::to(frame.dst) {
                    Flooded::Broadcast => settings.bcast_flood,
                    Flooded::Multicast => settings.mcast_flood,
                    Flooded::Unknown => settings.flood,
                };
                let back = *id == ingress && !settings.hairpin;
                let fits = frame.packet_len <= port.state.mtu;
                wanted && !back && fits && port.state.up && !self.isolated(ingress, *id, port)
            })
        })
    }

    /// The ports plugged in, ascending.
    pub fn plugged(&self) -> impl Iterator<Item = PortId> + '_ {
        self.plugged.iter().copied()
    }

    fn refuse(&self, frame: &Frame, state: &PortState) -> Option<DropReason> {
        if !state.up {
            return Some(DropReason::IngressDown);
        }
        if frame.src.is_group() {
            return Some(DropReason::GroupSource);
        }
        if frame.src == MacAddr::ZERO {
            return Some(DropReason::ZeroSource);
        }
        if self.config.local == Some(frame.src) {
            return Some(DropReason::OwnSource);
        }
        if frame.dst.is_group() && frame.dst.is_link_local() {
            let bit = 1u16 << (frame.dst.0[5] & 0xf);
            return (self.config.link_local_mask & bit == 0).then_some(DropReason::LinkLocal);
        }
        None
    }

    fn forward(&self, frame: &Frame, ingress: PortId, egress: PortId) -> Verdict {
        let Some(port) = self.get(egress) else {
            return Verdict::Drop(DropReason::EgressDown);
        };
        let refused = if egress == ingress && !port.state.settings.hairpin {
            Some(DropReason::SamePort)
        } else if !port.state.up {
            Some(DropReason::EgressDown)
        } else if self.isolated(ingress, egress, port) {
            Some(DropReason::Isolated)
        } else if frame.packet_len > port.state.mtu {
            Some(DropReason::TooBig)
        } else {
            None
        };
        refused.map_or(Verdict::Forward(egress), Verdict::Drop)
    }

    /// True where two ports are of one isolated group.
    fn isolated(&self, ingress: PortId, egress: PortId, port: &Port) -> bool {
        let group = port.state.settings.isolation;
        group.is_some()
            && ingress != egress
            && self.get(ingress).is_some_and(|port| port.state.settings.isolation == group)
    }

    /// Counts a flooded frame against its port's limit; true where it is over.
    fn storms(&self, kind: Flooded, ingress: PortId, now: Timestamp) -> bool {
        let Some(port) = self.get(ingress) else { return false };
        let Some(limit) = port.state.settings.storm.of(kind) else { return false };
        port.storm.count(kind, now) > limit.into()
    }

    fn get(&self, id: PortId) -> Option<&Port> {
        self.ports.get(id.index())?.as_ref()
    }
}

fn dropped(reason: DropReason, learned: Learned) -> Decision {
    Decision { verdict: Verdict::Drop(reason), learned }
}

#[cfg(test)]
#[path = "bridge_tests.rs"]
mod tests;
