//! The book of flows: which there are, whose, and what the kernel has done by them. Pure: time is an
//! argument, the memory it writes may be its own.
//!
//! Behind a lock: a worker writes what it decided, whoever reads counters has them brought up to
//! date. Bounds: the table's [`ROWS`]. Where a key's places are all taken, one whose flow holds no
//! longer gives way, else one of the port that has most flows, so that one port's many addresses
//! cannot push out another's. A place that was left is taken again once no program can have a frame of
//! it at hand; until then the newcomer's frames go to the ring.

mod counted;
mod flood;
mod rest;
mod row;
mod told;

use std::collections::HashMap;
use std::time::Duration;

use bpf::layout::ROWS;
use bpf::{Flow, FlowId, Key, SetId, Table, Totals};
use sys::bpf::Attached;
use wire::Timestamp;

use flood::Flood;
use rest::Rests;
use row::Row;

use super::flow::{Across, Decided, FlowInfo, Hook, Plug, Routed};
use crate::core::{Concern, Fdb, PortId};
use crate::stats::WorkerCells;

/// A flow that nothing has come by for so long is taken back: its next frame wakes the worker.
const IDLE: Duration = Duration::from_secs(3);
/// Counts are no older than this when somebody asks in passing.
const FRESH: Duration = Duration::from_millis(1);

/// The book.
pub(super) struct Book {
    rows: Box<[Option<Row>]>,
    /// The places that have a row, in no order.
    places: Vec<FlowId>,
    ports: Vec<Option<Plug>>,
    /// Flows by the port they come in by.
    held: Box<[u16]>,
    /// Places by the station's sessions.
    sessions: HashMap<u64, Vec<FlowId>>,
    /// Places of which the station has to be told.
    owing: Vec<FlowId>,
    /// Sets of ports that no flow has.
    sets: Vec<SetId>,
    rests: Rests,
    /// Places that rest, when it was looked last.
    resting: usize,
    pub(super) cells: WorkerCells,
    folded: Timestamp,
}

impl Book {
    pub(super) fn new() -> Self {
        Self {
            rows: (0..ROWS).map(|_| None).collect(),
            places: Vec::with_capacity(ROWS),
            ports: Vec::new(),
            held: vec![0; PortId::MAX].into(),
            sessions: HashMap::new(),
            owing: Vec::new(),
            sets: flood::all(),
            rests: Rests::default(),
            resting: 0,
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
    pub(super) fn unplug(
        &mut self,
        table: &Table,
        fdb: &Fdb,
        id: PortId,
        now: Timestamp,
    ) -> Option<Plug> {
        for at in 0..self.places.len() {
            let place = self.places[at];
            let row = self.rows[usize::from(place.0)].as_ref();
            if row.is_some_and(|row| row.has(id)) {
                self.leave(table, place);
            }
        }
        self.fold(table, fdb, now);
        self.ports.get_mut(id.index())?.take()
    }

    /// What a port comes by that waits for its first flow.
    pub(super) fn hook(&mut self, id: PortId) -> Option<(u32, &Option<Across>, &mut Hook)> {
        let plug = self.ports.get_mut(id.index())?.as_mut()?;
        Some((plug.ifindex, &plug.across, &mut plug.hook))
    }

    /// Whether a port lies in another namespace.
    pub(super) fn is_across(&self, id: PortId) -> bool {
        self.port(id).is_some_and(|port| port.across.is_some())
    }

    /// A port's link goes up or down.
    pub(super) fn mark(&mut self, id: PortId, up: bool) {
        if let Some(Some(plug)) = self.ports.get_mut(id.index()) {
            plug.up = up;
        }
    }

    /// The kernel looks at what comes in by a port, or will not. Given back where the port that
    /// asked for it is no more.
    pub(super) fn attached(
        &mut self,
        id: PortId,
        ifindex: u32,
        attached: Option<Vec<Attached>>,
    ) -> Option<Vec<Attached>> {
        match self.hook(id) {
            Some((own, _, hook @ Hook::Asked)) if own == ifindex => {
                *hook = attached.map_or(Hook::Never, Hook::On);
                None
            }
            _ => attached,
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
    pub(super) fn key(&self, of: &Decided<'_>) -> Option<Key> {
        let Decided { dst, src, tag, .. } = *of;
        self.port(of.egress)?;
        let ends = of.routed.map(|routed| routed.ends);
        Some(Key { ingress: self.port(of.ingress)?.ifindex, dst, src, tag, ends })
    }

    /// Writes a decision down, and says where; None where there is no place for it now.
    pub(super) fn put(
        &mut self,
        table: &Table,
        of: &Decided<'_>,
        now: Timestamp,
    ) -> Option<FlowId> {
        let (key, to) = (self.key(of)?, self.port(of.egress)?);
        let route = of.routed.map(|routed| routed.route);
        let peer = to.behind == Some(route.map_or(of.dst, |route| route.next));
        // What is sent to a link that is down the kernel refuses whoever sends by a socket, and tells
        // no program.
        if to.uplink && !to.up {
            return None;
        }
        let from = self.port(of.ingress).and_then(|from| from.across.as_ref());
        let (egress, beyond) = match (from, &to.across) {
            (None, None) => (to.ifindex, None),
            (Some(across), None) => (across.ends[1], Some(to.ifindex)),
            (None, Some(across)) => (across.ends[0], Some(bpf::here(to.ifindex))),
            (Some(_), Some(_)) => return None,
        };
        let retag = of.retag;
        let Decided { mtu, until, source, ignored, awaits, .. } = *of;
        let (flood, ethertype) = (None, ignored.map(|ignored| ignored.ethertype));
        let flow = Flow {
            egress,
            flood,
            ethertype,
            beyond,
            peer,
            retag,
            mtu,
            until,
            source,
            route,
            awaits,
        };
        let session = |of: Option<Routed>| of.and_then(|routed| routed.way.session);
        let ports = [of.ingress, of.egress];
        let known = table.find(&key);
        if let Some(row) = known.and_then(|id| self.rows[usize::from(id.0)].as_mut())
            && let Some(id) = known
        {
            // With another next hop it is about another address (`end_of`).
            let way = |of: Option<Routed>| of.map(|routed| (routed.way, routed.route.next));
            let same_way = way(row.routed) == way(of.routed) && row.ignored == ignored;
            let same_ports = row.ports == ports && flood::is_it(row.flood.as_ref(), of.flood);
            if same_ports && same_way && row.left.is_none() {
                let flow = Flow { flood: row.flood.as_ref().map(Flood::set), ..flow };
                (row.retag, row.scope, row.vlans) = (retag, of.scope, of.vlans);
                (row.legs, row.routed, row.awaits) = (of.legs, of.routed, awaits);
                table.write(id, &key, &flow, of.generation);
                return Some(id);
            }
            // What is under way still counts for the port it went to.
            self.leave(table, id);
        }
        let id = self.place(table, &key, of.ingress, now)?;
        let flood = self.flood(table, of.flood)?;
        let flow = Flow { flood: flood.as_ref().map(Flood::set), ..flow };
        table.begin(id);
        let base = table.totals(id);
        let (since, used, ended, told_end, left) = (now, now, None, false, None);
        let (answered, told_answer) = (false, false);
        let (scope, vlans, routed, owed) = (of.scope, of.vlans, of.routed, Totals::default());
        self.rows[usize::from(id.0)] = Some(Row {
            key,
            ports,
            retag,
            scope,
            vlans,
            legs: of.legs,
            routed,
            ignored,
            awaits,
            flood,
            owed,
            since,
            base,
            counted: base,
            used,
            ended,
            told_end,
            answered,
            told_answer,
            left,
        });
        if let Some(session) = session(of.routed) {
            self.sessions.entry(session).or_default().push(id);
        }
        self.places.push(id);
        if let Some(held) = self.held.get_mut(of.ingress.index()) {
            *held += 1;
        }
        table.write(id, &key, &flow, of.generation);
        Some(id)
    }

    /// Brings the counters and the ages of addresses up to what the kernel has done; how many frames
    /// that is.
    pub(super) fn fold(&mut self, table: &Table, fdb: &Fdb, now: Timestamp) -> u64 {
        self.folded = self.folded.max(now);
        let (mut frames, mut at, mut resting) = (0, 0, 0);
        while let Some(place) = self.places.get(at).copied() {
            frames += self.count(table, fdb, place);
            let Some(row) = &self.rows[usize::from(place.0)] else {
                self.places.swap_remove(at);
                continue;
            };
            match row.left {
                // What is owed of it is told first.
                Some(left) if self.rests.is_over(left) && !row.owes() => {
                    let session = row.routed.and_then(|routed| routed.way.session);
                    self.sets.extend(row.flood.as_ref().map(Flood::set));
                    self.rows[usize::from(place.0)] = None;
                    self.places.swap_remove(at);
                    self.forget(session, place);
                    continue;
                }
                Some(_) => resting += 1,
                // Of what ends without a session nothing more is to come but the other's last word.
                None if now.since(row.used) >= IDLE || row.told_end && row.is_of_no_session() => {
                    self.leave(table, place);
                    resting += 1;
                }
                None => {}
            }
            at += 1;
        }
        self.resting = resting;
        frames
    }

    /// Whether the counts are so old that somebody who asks in passing has them brought up to date.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        !self.places.is_empty() && now.since(self.folded) >= FRESH
    }

    /// Whether places rest, and nobody waits for what frees them.
    pub(super) fn wants_grace(&self) -> bool {
        self.resting > 0 && !self.rests.is_asked()
    }

    /// Somebody will wait for a grace period.
    pub(super) fn grace_asked(&mut self) {
        self.rests.ask();
    }

    /// What was asked for is done.
    pub(super) fn grace_served(&mut self) {
        self.rests.serve();
    }

    /// A grace period begins; its number.
    pub(super) fn grace_begins(&mut self) -> u64 {
        self.rests.begin()
    }

    /// It has ended.
    pub(super) fn grace_ended(&mut self, number: u64) {
        self.rests.end(number);
    }

    /// Ends the flows that a change is about; whether a frame may be under way by one of them.
    pub(super) fn end_of(&mut self, table: &Table, concern: Concern) -> bool {
        let mut wait = false;
        for at in 0..self.places.len() {
            let place = self.places[at];
            let Some(row) = self.rows[usize::from(place.0)].as_ref() else { continue };
            if row.is_about(concern) && row.left.is_none_or(|turn| !self.rests.is_over(turn)) {
                self.leave(table, place);
                wait = true;
            }
        }
        wait
    }

    /// The flows that hold.
    pub(super) fn list(&self, table: &Table, now: Timestamp) -> Vec<FlowInfo> {
        let shown = |id: &FlowId| {
            let row = self.rows[usize::from(id.0)].as_ref()?;
            (row.left.is_none() && table.holds(*id, now)).then(|| FlowInfo {
                place: id.0,
                ingress: row.ports[0],
                egress: row.ports[1],
                others: row.flood.as_ref().map(Flood::others).unwrap_or_default(),
                src: row.key.src,
                dst: row.key.dst,
                tag: row.key.tag,
                retag: row.retag,
                route: row.routed.map(|routed| (routed.ends, routed.route)),
                frames: row.counted.frames - row.base.frames,
                bytes: row.counted.bytes - row.base.bytes,
                age: now.since(row.since),
                idle: now.since(row.used),
            })
        };
        self.places.iter().filter_map(shown).collect()
    }

    /// A flow is over; its place rests, and what is under way is still counted.
    fn leave(&mut self, table: &Table, place: FlowId) {
        let Some(row) = &mut self.rows[usize::from(place.0)] else { return };
        if row.left.is_none() {
            table.clear(place);
            row.left = Some(self.rests.leave());
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
            self.leave(table, id);
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
