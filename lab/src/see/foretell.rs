//! What would be decided about a frame: the switch's and the gateway's own decisions, asked beside
//! the running ones, so that nothing is learned, opened or counted.
//!
//! Pure. The switch decides by a copy of its ports over a small table of its own, into which the
//! few entries that matter are copied; so learning happens there, and is told.

use std::sync::Arc;

use gateway::{Consumed, Gateway, Outcome as Fate, Probe, Side, Verdict as Sent};
use switch::{
    Bridge, DropReason, EntryKind, Fdb, FdbConfig, FdbEntry, Frame, Handling, Outcome, PortId,
    Verdict,
};
use wire::{MacAddr, Timestamp, VlanId};

use super::walk::Facts;

/// Entries of the table beside.
const ENTRIES: usize = 64;

/// The lab's decisions, asked and not made.
pub(crate) struct Oracle<'a> {
    /// Over a table of its own.
    pub(crate) bridge: Bridge,
    pub(crate) gateway: Option<&'a Gateway>,
    /// The gateway's address on the bridge.
    pub(crate) mac: MacAddr,
    pub(crate) uplink: Option<PortId>,
    pub(crate) now: Timestamp,
}

/// A copy of `bridge` that knows of its table what it knows of `macs`, and may learn.
pub(crate) fn beside(bridge: &Bridge, macs: &[MacAddr], now: Timestamp) -> Bridge {
    let table = Arc::new(Fdb::new(FdbConfig { max_entries: ENTRIES, ..bridge.fdb().config() }));
    let known = macs.iter().filter_map(|mac| bridge.fdb().entry(*mac, VlanId::NONE, now));
    for FdbEntry { mac, vlan, port, kind, idle } in known {
        if kind == EntryKind::Learned {
            let seen = Timestamp::from_nanos(now.as_nanos().saturating_sub(nanos(idle)));
            table.learn(mac, vlan, port, u32::MAX, seen);
        } else {
            table.set(mac, vlan, port, kind);
        }
    }
    let mut aside = bridge.aside(Arc::clone(&table));
    for id in bridge.plugged() {
        let Some(mut state) = bridge.port(id) else { continue };
        // As much room as there is beside what was not copied.
        let others = bridge.fdb().port_len(id).saturating_sub(table.port_len(id));
        state.settings.learn_limit = state.settings.learn_limit.saturating_sub(others);
        aside.set_port(id, state);
    }
    aside
}

fn nanos(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Oracle<'_> {
    /// The facts of a frame that would come in at a port; `probe` is the packet in it.
    pub(crate) fn ask(&mut self, frame: &Frame, ingress: PortId, probe: Option<&Probe>) -> Facts {
        let now = self.now;
        let fdb = self.bridge.fdb();
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
        let decision = self.bridge.decide(frame, ingress, now);
        facts.learned = Some(decision.learned);
        facts.outcome = match decision.verdict {
            Verdict::Forward(to) => {
                facts.egress.push(to);
                Outcome::Forwarded(to)
            }
            Verdict::Flood => {
                facts.egress.extend(self.bridge.flood_set(frame, ingress));
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
    fn gateway(&self, frame: &Frame, probe: Option<&Probe>, facts: &mut Facts) -> Option<Handling> {
        let preview = self.gateway?.preview(probe?, self.now);
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
    fn back(&self, frame: &Frame, facts: &mut Facts) {
        let dst = facts.new_dst.unwrap_or(frame.dst);
        let after = Frame { dst, src: self.mac, vlan: VlanId::NONE, ..*frame };
        facts.target = self.bridge.fdb().entry(dst, after.vlan, self.now);
        match self.bridge.route(&after, PortId::LOCAL, self.now) {
            Verdict::Forward(to) => facts.egress.push(to),
            Verdict::Flood => facts.egress.extend(self.bridge.flood_set(&after, PortId::LOCAL)),
            Verdict::Local | Verdict::Drop(_) => {}
        }
    }
}
