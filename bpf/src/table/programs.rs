//! What the programs do, over memory of its own: for tests.

use std::sync::atomic::Ordering;

use wire::Timestamp;

use super::{FlowId, Lane, Table};
use crate::layout::{CAME, COUNT, ROWS, TICKET};

impl Table {
    /// Does to a place's counts what `forward` does for a frame: for tests over memory of its own.
    pub fn count(&self, id: FlowId, bytes: u64, now: Timestamp) {
        let at = usize::from(id.0) % ROWS * COUNT;
        let row = &self.counts.get()[at..at + COUNT];
        row[0].fetch_add(1, Ordering::Relaxed);
        row[4].fetch_add(1, Ordering::Relaxed);
        row[1].fetch_add(bytes, Ordering::Relaxed);
        row[3].store(now.as_nanos(), Ordering::Relaxed);
    }

    /// The same for what answers a SYN.
    pub fn count_answer(&self, id: FlowId, bytes: u64, now: Timestamp) {
        self.count(id, bytes, now);
        let at = usize::from(id.0) % ROWS * COUNT;
        self.counts.get()[at + 4].fetch_sub(1, Ordering::Relaxed);
        self.answer(id);
    }

    /// What `tap` does about order for a frame of a place's flow: true where it may pass.
    #[must_use]
    pub fn admits(&self, id: FlowId) -> bool {
        let [came, gone] = self.progress(Lane::Ports);
        let ticket = &self.flow(id)[TICKET];
        let waits = ticket.load(Ordering::SeqCst);
        if waits != 0 && gone < waits + self.cores as u64 && gone != came {
            let drawn = self.control.get()[CAME[0]].fetch_add(1, Ordering::SeqCst) + 1;
            ticket.store(drawn, Ordering::SeqCst);
            return false;
        }
        ticket.store(0, Ordering::SeqCst);
        true
    }

    /// What `tap` does about order for a frame without a flow.
    pub fn draw(&self) {
        self.control.get()[CAME[0]].fetch_add(1, Ordering::SeqCst);
    }
}
