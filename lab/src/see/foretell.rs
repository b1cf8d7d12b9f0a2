//! What would be decided about a frame: the switch's and the gateway's own decisions, asked beside
//! the running ones, so that nothing is learned, opened or counted.
//!
//! Pure. The switch decides by a copy of its ports over a small table of its own, into which an
//! entry is copied when it is first asked about; so learning happens there, and is told.

use std::sync::Arc;

use gateway::{Consumed, Gateway, Outcome as Fate, Probe, Side, Verdict as Sent};
use switch::core::PortState;
use switch::{
    Bridge, DropReason, EntryKind, Fdb, FdbConfig, FdbEntry, Frame, Handling, Outcome, PortId,
    Verdict,
};
use wire::{MacAddr, Timestamp, VlanId};

use crate::station;

use super::walk::Facts;

/// Entries of the table beside.
const ENTRIES: usize = 64;

/// The lab's decisions, asked and not made.
pub(crate) struct Oracle<'a> {
    pub(crate) bridge: Beside<'a>,
    pub(crate) gateway: Option<&'a Gateway>,
    /// The gateway's address on the bridge.
    pub(crate) mac: MacAddr,
    pub(crate) uplink: Option<PortId>,
    pub(crate) now: Timestamp,
}

/// A bridge beside another: the same ports over a table of its own, which knows of an address what
/// the other knew when it was first asked about, and learns for itself.
pub(crate) struct Beside<'a> {
    bridge: Bridge,
    original: &'a Bridge,
    /// With the port where the other had it.
    asked: Vec<(MacAddr, Option<PortId>)>,
}

impl<'a> Beside<'a> {
    /// One that has not been asked about anything.
    pub(crate) fn of(original: &'a Bridge) -> Self {
        let config = FdbConfig { max_entries: ENTRIES, ..original.fdb().config() };
        let bridge = original.aside(Arc::new(Fdb::new(config)));
        let mut beside = Self { bridge, original, asked: Vec::new() };
        original.plugged().for_each(|id| beside.leave_room(id));
        beside
    }

    /// As much room at a port as there is beside what was not copied.
    fn leave_room(&mut self, id: PortId) {
        let Some(mut state) = self.original.port(id) else { return };
        let copied = self.asked.iter().filter(|(_, port)| *port == Some(id)).count();
        let copied = u32::try_from(copied).unwrap_or(u32::MAX);
        let others = self.original.fdb().port_len(id).saturating_sub(copied);
        state.settings.learn_limit = state.settings.learn_limit.saturating_sub(others);
        self.bridge.set_port(id, state);
    }

    /// The bridge, knowing what is known of `macs`.
    pub(crate) fn knowing(&mut self, macs: &[MacAddr], now: Timestamp) -> &mut Bridge {
        for mac in macs {
            if self.asked.iter().any(|(asked, _)| asked == mac) {
                continue;
            }
            let known = self.original.fdb().entry(*mac, VlanId::NONE, now);
            self.asked.push((*mac, known.map(|entry| entry.port)));
            let Some(entry) = known else { continue };
            let FdbEntry { mac, vlan, port, kind, idle } = entry;
            if kind == EntryKind::Learned {
                let seen = Timestamp::from_nanos(now.as_nanos().saturating_sub(nanos(idle)));
                self.bridge.fdb().learn(mac, vlan, port, u32::MAX, seen);
            } else {
                self.bridge.fdb().set(mac, vlan, port, kind);
            }
            self.leave_room(port);
        }
        &mut self.bridge
    }

    /// A port as it is.
    pub(crate) fn port(&self, id: PortId) -> Option<PortState> {
        self.original.port(id)
    }
}

fn nanos(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Oracle<'_> {
    /// The facts of a frame that would come in at a port; `probe` is the packet in it.
    pub(crate) fn ask(&mut self, frame: &Frame, ingress: PortId, probe: Option<&Probe>) -> Facts {
        let now = self.now;
        let bridge = self.bridge.knowing(&[frame.src, frame.dst], now);
        let fdb = bridge.fdb();
        let mut facts = Facts {
            ingress,
            src: frame.src,
            dst: frame.dst,
            learned: None,
            source: fdb.entry(frame.src, frame.vlan, now),
            target: fdb.entry(frame.dst, frame.vlan, now),
            outcome: Outcome::Flooded,
            egress: Vec::new(),
            note: None,
            new_dst: None,
        };
        if Some(ingress) == self.uplink {
            let handling = self.gateway(frame, probe, &mut facts);
            facts.outcome = handling.map_or(Outcome::Dropped(DropReason::Station), Outcome::Uplink);
            return facts;
        }
        let decision = self.bridge.knowing(&[], now).decide(frame, ingress, now);
        facts.learned = Some(decision.learned);
        facts.outcome = match decision.verdict {
            Verdict::Forward(to) => {
                facts.egress.push(to);
                Outcome::Forwarded(to)
            }
            Verdict::Flood => {
                facts.egress.extend(self.bridge.knowing(&[], now).flood_set(frame, ingress));
                Outcome::Flooded
            }
            Verdict::Drop(reason) => Outcome::Dropped(reason),
            Verdict::Local => self
                .gateway(frame, probe, &mut facts)
                .map_or(Outcome::Dropped(DropReason::Station), Outcome::Station),
        };
        facts
    }

    /// What the gateway would do with the packet; None where it would drop it.
    fn gateway(
        &mut self,
        frame: &Frame,
        probe: Option<&Probe>,
        facts: &mut Facts,
    ) -> Option<Handling> {
        let node = station::node(facts.ingress);
        let preview = self.gateway?.preview_from(node, probe?, self.now);
        let mut note = preview.note;
        let from_bridge = Some(facts.ingress) != self.uplink;
        let (handling, end) = match preview.outcome {
            Fate::Dropped(reason) => (None, Sent::Drop(reason)),
            Fate::Leaves { mac: None, .. } => {
                (Some(Handling::Consumed), Sent::Consumed(Consumed::Queued))
            }
            Fate::Leaves { side: Side::Uplink, mac: Some(mac), .. } => {
                facts.new_dst = Some(mac);
                (Some(Handling::ToUplink), Sent::Uplink)
            }
            Fate::Leaves { side: Side::Lan, mac: Some(mac), .. } => {
                facts.new_dst = Some(mac);
                (Some(Handling::ToBridge), Sent::Lan)
            }
            Fate::Answered => {
                facts.new_dst = Some(frame.src);
                match from_bridge {
                    true => (Some(Handling::ToBridge), Sent::Lan),
                    false => (Some(Handling::ToUplink), Sent::Uplink),
                }
            }
        };
        note.end = Some(end);
        facts.note = Some(note);
        match handling {
            Some(Handling::ToUplink) => facts.egress.extend(self.uplink),
            Some(Handling::ToBridge) => self.back(frame, facts),
            _ => {}
        }
        handling
    }

    /// Where a frame of the gateway's would go on the bridge.
    fn back(&mut self, frame: &Frame, facts: &mut Facts) {
        let dst = facts.new_dst.unwrap_or(frame.dst);
        let after = Frame { dst, src: self.mac, vlan: VlanId::NONE, ..*frame };
        let bridge = self.bridge.knowing(&[dst], self.now);
        facts.target = bridge.fdb().entry(dst, after.vlan, self.now);
        match bridge.route(&after, PortId::LOCAL, self.now) {
            Verdict::Forward(to) => facts.egress.push(to),
            Verdict::Flood => facts.egress.extend(bridge.flood_set(&after, PortId::LOCAL)),
            Verdict::Local | Verdict::Drop(_) => {}
        }
    }
}
