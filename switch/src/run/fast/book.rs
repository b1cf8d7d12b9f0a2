//! The book of flows: which there are, whose, and what the kernel has done by them. Pure: time is an
//! argument, the memory it writes may be its own.
//!
//! Behind a lock: a worker writes what it decided, whoever reads counters has them brought up to
//! date. Bounds: the table's [`ENTRIES`]. Where a key's places are all taken, one whose flow holds no
//! longer gives way, else one of the port that has most flows, so that one port's many addresses
//! cannot push out another's. A place is taken again a second after it was left, for a program may
//! have had a frame at hand; until then the newcomer's frames go to the ring.

use std::sync::Arc;
use std::time::Duration;

use bpf::layout::ENTRIES;
use bpf::{Flow, FlowId, Generation, Key, Retag, Table, Totals};
use sys::bpf::Attached;
use sys::packet::Refusal;
use wire::{MacAddr, Timestamp, VlanId};

use crate::core::{Fdb, PortId, Scope};
use crate::stats::{PortCells, WorkerCells};

/// A place that was left is taken again after this time.
const REST: Duration = Duration::from_secs(1);
/// A flow that nothing has come by for so long is taken back: its next frame wakes the worker.
const IDLE: Duration = Duration::from_secs(3);
/// Counts are no older than this when somebody asks in passing.
const FRESH: Duration = Duration::from_millis(1);

/// A port that the kernel forwards for.
pub(super) struct Plug {
    pub(super) ifindex: u32,
    /// The address of the one peer at the other end of its link.
    pub(super) behind: Option<MacAddr>,
    /// Where the kernel's frames count.
    pub(super) cells: Arc<PortCells>,
    #[expect(dead_code, reason = "held, not read")]
    pub(super) attached: Option<Attached>,
}

/// A decision to be repeated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided {
    pub(super) dst: MacAddr,
    pub(super) src: MacAddr,
    pub(super) tag: Option<wire::VlanTag>,
    pub(super) ingress: PortId,
    pub(super) egress: PortId,
    pub(super) retag: Retag,
    pub(super) mtu: u32,
    pub(super) until: Timestamp,
    /// Where the source is learned, if it is.
    pub(super) scope: Option<Scope>,
    /// Their VLAN, where they are told apart.
    pub(super) vlan: Option<VlanId>,
    /// What held when it was made.
    pub(super) generation: Generation,
}

/// One flow, to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowInfo {
    /// Its place, which it keeps.
    pub place: u16,
    /// Where its frames come in.
    pub ingress: PortId,
    /// Where they leave.
    pub egress: PortId,
    /// Their source.
    pub src: MacAddr,
    /// Their destination.
    pub dst: MacAddr,
    /// Their tag as they come.
    pub tag: Option<wire::VlanTag>,
    /// What becomes of it.
    pub retag: Retag,
    /// Frames the kernel has forwarded by it.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Since it was written.
    pub age: Duration,
    /// Since its last frame, or since it was written.
    pub idle: Duration,
}

struct Row {
    key: Key,
    ports: [PortId; 2],
    retag: Retag,
    scope: Option<Scope>,
    vlan: Option<VlanId>,
    since: Timestamp,
    /// What had been done at its place before it, and what of its own has been counted.
    base: Totals,
    counted: Totals,
    used: Timestamp,
    left: Option<Timestamp>,
}

/// The book.
pub(super) struct Book {
    rows: Box<[Option<Row>]>,
    /// The places that have a row, in no order.
    places: Vec<FlowId>,
    ports: Vec<Option<Plug>>,
    /// Flows by the port they come in by.
    held: Box<[u16]>,
    pub(super) cells: WorkerCells,
    folded: Timestamp,
}

impl Book {
    pub(super) fn new() -> Self {
        Self {
            rows: (0..ENTRIES).map(|_| None).collect(),
            places: Vec::with_capacity(ENTRIES),
            ports: Vec::new(),
            held: vec![0; PortId::MAX].into(),
            cells: WorkerCells::default(),
            folded: Timestamp::ZERO,
        }
    }

    pub(super) fn plug(&mut self, id: PortId, plug: Plug) {
        if self.ports.len() <= id.index() {
            self.ports.resize_with(id.index() + 1, || None);
        }
        self.ports[id.index()] = Some(plug);
    }

    /// A port is gone, and nothing is under way that came in or leaves by it.
    pub(super) fn unplug(&mut self, table: &Table, fdb: &Fdb, id: PortId, now: Timestamp) {
        for at in 0..self.places.len() {
            let place = self.places[at];
            let row = self.rows[usize::from(place.0)].as_ref();
            if row.is_some_and(|row| row.ports.contains(&id)) {
                self.leave(table, place, now);
            }
        }
        self.fold(table, fdb, now);
        if let Some(plug) = self.ports.get_mut(id.index()) {
            *plug = None;
        }
    }

    /// The interface of a port that the kernel forwards for.
    pub(super) fn ifindex(&self, id: PortId) -> Option<u32> {
        self.port(id).map(|port| port.ifindex)
    }

    /// Whether there are flows at all.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The key of frames between two ports of ours; None where the kernel does not forward for one.
    pub(super) fn key(&self, of: &Decided) -> Option<Key> {
        let Decided { dst, src, tag, .. } = *of;
        self.port(of.egress)?;
        Some(Key { ingress: self.port(of.ingress)?.ifindex, dst, src, tag })
    }

    /// Writes a decision down; false where there is no place for it now.
    pub(super) fn put(&mut self, table: &Table, of: &Decided, now: Timestamp) -> bool {
        let (Some(key), Some(to)) = (self.key(of), self.port(of.egress)) else { return false };
        let peer = to.behind == Some(of.dst);
        let (egress, retag) = (to.ifindex, of.retag);
        let flow = Flow { egress, peer, retag, mtu: of.mtu, until: of.until };
        let ports = [of.ingress, of.egress];
        let known = table.find(&key);
        if let Some(row) = known.and_then(|id| self.rows[usize::from(id.0)].as_mut())
            && let Some(id) = known
        {
            if row.ports == ports {
                (row.retag, row.scope, row.vlan) = (retag, of.scope, of.vlan);
                table.write(id, &key, &flow, of.generation);
                return true;
            }
            // What is under way still counts for the port it went to.
            self.leave(table, id, now);
        }
        let Some(id) = self.place(table, &key, of.ingress, now) else { return false };
        let base = table.totals(id);
        let (since, used, left) = (now, now, None);
        let (scope, vlan) = (of.scope, of.vlan);
        let row = Row { key, ports, retag, scope, vlan, since, base, counted: base, used, left };
        self.rows[usize::from(id.0)] = Some(row);
        self.places.push(id);
        if let Some(held) = self.held.get_mut(of.ingress.index()) {
            *held += 1;
        }
        table.write(id, &key, &flow, of.generation);
        true
    }

    /// Brings the counters and the ages of addresses up to what the kernel has done; how many frames
    /// that is.
    pub(super) fn fold(&mut self, table: &Table, fdb: &Fdb, now: Timestamp) -> u64 {
        self.folded = self.folded.max(now);
        let (mut frames, mut at) = (0, 0);
        while let Some(place) = self.places.get(at).copied() {
            frames += self.count(table, fdb, place);
            let Some(row) = &self.rows[usize::from(place.0)] else {
                self.places.swap_remove(at);
                continue;
            };
            match row.left {
                Some(left) if now.since(left) >= REST => {
                    self.rows[usize::from(place.0)] = None;
                    self.places.swap_remove(at);
                    continue;
                }
                None if now.since(row.used) >= IDLE => self.leave(table, place, now),
                _ => {}
            }
            at += 1;
        }
        frames
    }

    /// Whether the counts are so old that somebody who asks in passing has them brought up to date.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        !self.places.is_empty() && now.since(self.folded) >= FRESH
    }

    /// The flows that hold.
    pub(super) fn list(&self, table: &Table, now: Timestamp) -> Vec<FlowInfo> {
        let shown = |id: &FlowId| {
            let row = self.rows[usize::from(id.0)].as_ref()?;
            (row.left.is_none() && table.holds(*id, now)).then(|| FlowInfo {
                place: id.0,
                ingress: row.ports[0],
                egress: row.ports[1],
                src: row.key.src,
                dst: row.key.dst,
                tag: row.key.tag,
                retag: row.retag,
                frames: row.counted.frames - row.base.frames,
                bytes: row.counted.bytes - row.base.bytes,
                age: now.since(row.since),
                idle: now.since(row.used),
            })
        };
        self.places.iter().filter_map(shown).collect()
    }

    /// Counts what has come by a flow since the last time.
    fn count(&mut self, table: &Table, fdb: &Fdb, place: FlowId) -> u64 {
        let Some(row) = &mut self.rows[usize::from(place.0)] else { return 0 };
        let total = table.totals(place);
        let frames = total.frames - row.counted.frames;
        if frames == 0 {
            return 0;
        }
        let bytes = total.bytes - row.counted.bytes;
        let failed = total.failed - row.counted.failed;
        let lost = total.failed_bytes - row.counted.failed_bytes;
        row.counted = total;
        row.used = row.used.max(total.seen);
        let ([from, to], vlan) = (row.ports, row.vlan);
        if let Some(scope) = row.scope {
            fdb.touch(row.key.src, scope, from, total.seen);
        }
        self.cells.ring_packets.add(frames);
        self.cells.received.add(frames);
        self.cells.forwarded.add(frames);
        self.cells.refused[Refusal::Other.index()].add(failed);
        if let Some(port) = self.port(from) {
            port.cells.rx_packets.add(frames);
            port.cells.rx_bytes.add(bytes);
            if let Some(vlan) = vlan {
                port.cells.vlans.came(vlan, frames, bytes);
            }
        }
        if let Some(port) = self.port(to) {
            port.cells.tx_packets.add(frames - failed);
            port.cells.tx_bytes.add(bytes - lost);
            port.cells.tx_errors.add(failed);
            if let Some(vlan) = vlan {
                port.cells.vlans.went(vlan, frames, bytes);
            }
        }
        frames
    }

    /// A flow is over; its place rests, and what is under way is still counted.
    fn leave(&mut self, table: &Table, place: FlowId, now: Timestamp) {
        let Some(row) = &mut self.rows[usize::from(place.0)] else { return };
        if row.left.is_none() {
            table.clear(place);
            row.left = Some(now);
            if let Some(held) = self.held.get_mut(row.ports[0].index()) {
                *held = held.saturating_sub(1);
            }
        }
    }

    /// A free place for a key; else one is made to be free later.
    fn place(&mut self, table: &Table, key: &Key, from: PortId, now: Timestamp) -> Option<FlowId> {
        let row = |id: FlowId| self.rows[usize::from(id.0)].as_ref();
        if let Some(free) = table.places(key).find(|id| row(*id).is_none()) {
            return Some(free);
        }
        // Where one rests already it is worth the wait.
        if table.places(key).any(|id| row(id).is_some_and(|row| row.left.is_some())) {
            return None;
        }
        let held = |port: PortId| self.held.get(port.index()).copied().unwrap_or(0);
        let over = table.places(key).find(|id| !table.holds(*id, now));
        let greedy = || {
            let of = |id: &FlowId| row(*id).map_or(0, |row| held(row.ports[0]));
            table.places(key).max_by_key(of).filter(|id| of(id) > held(from))
        };
        if let Some(id) = over.or_else(greedy) {
            self.leave(table, id, now);
        }
        None
    }

    fn port(&self, id: PortId) -> Option<&Plug> {
        self.ports.get(id.index())?.as_ref()
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
