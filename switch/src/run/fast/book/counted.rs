//! What the kernel has done by a flow, into the counters and the ages of addresses: each frame once.

use std::sync::Arc;

use bpf::{FlowId, Missed, Table, Totals};
use sys::packet::Refusal;

use super::Book;
use crate::core::{DropReason, Fdb, PortId};

impl Book {
    /// Counts what has come by a flow since the last time.
    pub(super) fn count(&mut self, table: &Table, fdb: &Fdb, place: FlowId) -> u64 {
        // Before the frames themselves, so that no more have failed than went.
        let missed = self.missed(table, place);
        let frames = self.came(table, fdb, place);
        missed.iter().for_each(|(id, missed)| self.refuse(*id, missed));
        frames
    }

    fn came(&mut self, table: &Table, fdb: &Fdb, place: FlowId) -> u64 {
        let Some(row) = &mut self.rows[usize::from(place.0)] else { return 0 };
        // Before the frames, for it is written after them.
        let ended = table.ended(place).filter(|_| !row.told_end && row.way().is_some());
        let answered = row.answers() && !row.told_answer && table.answered(place);
        let mut total = table.totals(place);
        let frames = total.frames - row.counted.frames;
        // Counted after the frame itself: a little later, it may be.
        let failed = total.failed - row.counted.failed;
        let misplaced = total.misplaced - row.counted.misplaced;
        let misplaced_bytes = total.misplaced_bytes - row.counted.misplaced_bytes;
        match (frames, failed) {
            (0, 0) if ended.is_none() && !answered && misplaced == 0 => return 0,
            (0, _) => (total.bytes, total.packets) = (row.counted.bytes, row.counted.packets),
            _ => {}
        }
        let bytes = total.bytes - row.counted.bytes;
        let packets = total.packets - row.counted.packets;
        let lost = total.failed_bytes - row.counted.failed_bytes;
        let gone = (total.gone - row.counted.gone).min(failed);
        row.counted = Totals { gone: row.counted.gone + gone, ..total };
        row.used = row.used.max(total.seen);
        if row.way().is_some() && (frames > 0 || ended.is_some() || answered || misplaced > 0) {
            if !row.owes() {
                self.owing.push(place);
            }
            (row.ended, row.told_end) = (ended.or(row.ended), row.told_end || ended.is_some());
            (row.answered, row.told_answer) =
                (row.answered || answered, row.told_answer || answered);
            row.owed.frames += frames;
            row.owed.packets += packets;
            row.owed.bytes += bytes;
            row.owed.misplaced += misplaced;
            row.owed.seen = total.seen;
        }
        let ([from, to], vlans, routed) = (row.ports, row.vlans, row.routed.is_some());
        let [given, said] = row.legs;
        let first = row.awaits.take_if(|_| frames > 0);
        let flood = row.flood.as_ref().map(|flood| Arc::clone(&flood.ports));
        if let Some(scope) = row.scope {
            fdb.touch(row.key.src, scope, from, total.seen);
        }
        // The station's to refuse, which is told of them.
        let (came, came_bytes) = (frames + misplaced, bytes + misplaced_bytes);
        self.cells.ring_packets.add(came);
        self.cells.received.add(came);
        self.cells.drops[DropReason::Station.index()].add(misplaced);
        let at = |id: PortId| self.port(id).is_some_and(|port| port.uplink);
        match (routed, at(from), at(to)) {
            (false, ..) if flood.is_some() => self.cells.flooded.add(frames),
            (false, ..) => self.cells.forwarded.add(frames),
            (true, false, _) => self.cells.local.add(frames),
            (true, true, _) => self.cells.uplink.add(frames),
        }
        match (routed, at(to)) {
            (false, _) => {}
            (true, false) => self.cells.station_to_bridge.add(frames),
            (true, true) => self.cells.station_to_uplink.add(frames),
        }
        if let Some(port) = self.port(from) {
            port.cells.rx_packets.add(came);
            port.cells.rx_bytes.add(came_bytes);
            port.cells.drops[DropReason::Station.index()].add(misplaced);
            if flood.is_some() {
                port.cells.rx_multicast.add(frames);
            }
            if let Some(vlan) = vlans[0] {
                port.cells.vlans.came(vlan, came, came_bytes);
            }
        }
        if let Some(leg) = given {
            self.cells.legs.given(leg, came, came_bytes);
        }
        if let Some(leg) = said {
            self.cells.legs.said(leg, frames, bytes);
        }
        let missed = Missed { failed, failed_bytes: lost, gone };
        for to in flood.as_deref().unwrap_or(&[to]) {
            self.refuse(*to, &missed);
            let Some(port) = self.port(*to) else { continue };
            port.cells.tx_packets.add(frames);
            port.cells.tx_bytes.add(bytes);
            if let Some(vlan) = vlans[1] {
                port.cells.vlans.went(vlan, frames, bytes);
            }
        }
        // What was waited for is told no later.
        if let Some(first) = first {
            table.release(place);
            self.came(table, fdb, first);
        }
        frames
    }

    /// The copies that could not be sent to one of a flow's several ports, since the last time.
    fn missed(&mut self, table: &Table, place: FlowId) -> Vec<(PortId, Missed)> {
        let row = self.rows[usize::from(place.0)].as_mut();
        let Some(flood) = row.and_then(|row| row.flood.as_mut()) else { return Vec::new() };
        let mut fresh = Vec::new();
        let now = table.missed(flood.set());
        for ((id, now), was) in flood.ports.iter().zip(now).zip(&mut flood.counted) {
            let failed = now.failed - was.failed;
            // Counted after the other, by a program on another core it may be.
            let gone = (now.gone - was.gone).min(failed);
            if failed > 0 {
                let failed_bytes = now.failed_bytes - was.failed_bytes;
                fresh.push((*id, Missed { failed, failed_bytes, gone }));
                *was = Missed { gone: was.gone + gone, ..now };
            }
        }
        fresh
    }

    /// Moves what could not be sent to a port from sent to errors.
    fn refuse(&self, id: PortId, missed: &Missed) {
        let Missed { failed, failed_bytes, gone } = *missed;
        self.cells.refused[Refusal::LinkDown.index()].add(gone);
        self.cells.refused[Refusal::Other.index()].add(failed - gone);
        if let Some(port) = self.port(id) {
            port.cells.tx_packets.take_back(failed);
            port.cells.tx_bytes.take_back(failed_bytes);
            port.cells.tx_errors.add(failed);
        }
    }
}
