//! What the station is told of the flows of what it sends on: each frame once.

use bpf::{FlowId, Table, Totals};
use wire::Timestamp;

use super::{Book, Routed};
use crate::core::Fdb;
use crate::station::{Repeated, Way};

/// Bytes of a frame before its packet.
const ETHERNET: u64 = 14;

impl Book {
    /// A session of the station's has ended or changed, or all have: their flows end. What is known
    /// of their packets, which is not told again; what is still under way counts for no session.
    pub(in crate::run::fast) fn over(
        &mut self,
        (table, fdb): (&Table, &Fdb),
        session: Option<u64>,
    ) -> Vec<Repeated> {
        let places: Vec<FlowId> = match session {
            Some(session) => self.sessions.remove(&session).unwrap_or_default(),
            None => self.sessions.drain().flat_map(|(_, places)| places).collect(),
        };
        // An answer may be counted with what comes after it.
        for place in &places {
            self.leave(table, *place);
            self.count(table, fdb, *place);
        }
        let mut told = Vec::new();
        for place in places {
            let row = self.rows[usize::from(place.0)].as_mut();
            let Some(routed) = row.as_ref().and_then(|row| row.routed) else { continue };
            if let Some(row) = row {
                let (ended, answered) = (row.ended.take(), std::mem::take(&mut row.answered));
                let done = repeated(routed.way, &row.owed, (ended, answered));
                told.extend(done.map(|done| Repeated { frames: 0, misplaced: 0, ..done }));
                let way = Way { session: None, ..routed.way };
                row.routed = Some(Routed { way, ..routed });
            }
        }
        told
    }

    /// What the station has not been told of yet.
    pub(in crate::run::fast) fn take(&mut self) -> Vec<Repeated> {
        let owing = std::mem::take(&mut self.owing);
        let told = owing.into_iter().filter_map(|place| {
            let row = self.rows[usize::from(place.0)].as_mut()?;
            let turns = (row.ended.take(), std::mem::take(&mut row.answered));
            repeated(row.way()?, &std::mem::take(&mut row.owed), turns)
        });
        told.collect()
    }

    /// What the packets of sessions were, which [`Book::take`] does not tell again; their frames it does.
    pub(in crate::run::fast) fn sessions(&mut self) -> Vec<Repeated> {
        let told = self.owing.iter().filter_map(|place| {
            let row = self.rows[usize::from(place.0)].as_mut()?;
            let way = row.way().filter(|way| way.session.is_some())?;
            let turns = (row.ended.take(), std::mem::take(&mut row.answered));
            let done = repeated(way, &row.owed, turns)?;
            (row.owed.packets, row.owed.bytes) = (0, ETHERNET * row.owed.frames);
            Some(Repeated { frames: 0, misplaced: 0, ..done })
        });
        told.collect()
    }

    /// Whether the station has not been told of all.
    pub(in crate::run::fast) fn owes(&self) -> bool {
        !self.owing.is_empty()
    }

    /// A place is no longer one of a session's.
    pub(super) fn forget(&mut self, session: Option<u64>, place: FlowId) {
        let Some(session) = session else { return };
        let Some(places) = self.sessions.get_mut(&session) else { return };
        places.retain(|held| *held != place);
        if places.is_empty() {
            self.sessions.remove(&session);
        }
    }
}

/// What is owed, in the station's words; None where that is nothing.
fn repeated(
    way: Way,
    owed: &Totals,
    (ended, answered): (Option<Timestamp>, bool),
) -> Option<Repeated> {
    let Totals { frames, packets, bytes, seen, misplaced, .. } = *owed;
    let bytes = bytes - ETHERNET * frames;
    let some = frames > 0 || ended.is_some() || answered || misplaced > 0;
    some.then_some(Repeated { way, frames, packets, bytes, seen, ended, answered, misplaced })
}
