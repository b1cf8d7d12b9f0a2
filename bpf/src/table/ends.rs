//! Ends of connections, and answers to SYNs, as the programs note them with a route.

use std::sync::atomic::Ordering;

use wire::Timestamp;

use super::{FlowId, Table, halves, pair};
use crate::layout::{ANSWERED, BEYOND, ENDED, ENTRIES};

impl Table {
    /// When the kernel sent on the first segment with FIN by a route's place since the place was
    /// taken; it is in the totals that are read afterwards.
    #[must_use]
    pub fn ended(&self, id: FlowId) -> Option<Timestamp> {
        let word = self.flow(id).get(ENDED)?.load(Ordering::Acquire);
        let time = word & !ANSWERED;
        (time != 0).then(|| Timestamp::from_nanos(time))
    }

    /// Whether the kernel sent on by a route's place what answers a SYN. It is among the frames that are
    /// read afterwards, and no packet of theirs.
    #[must_use]
    pub fn answered(&self, id: FlowId) -> bool {
        self.flow(id).get(ENDED).is_some_and(|word| word.load(Ordering::Acquire) & ANSWERED != 0)
    }

    /// A place is taken: no segment with FIN has been sent on by it, nor an answer.
    pub fn begin(&self, id: FlowId) {
        if let Some(word) = self.flow(id).get(ENDED) {
            word.store(0, Ordering::Release);
        }
    }

    /// Does what `forward` does for a segment with FIN that it has counted.
    pub fn end(&self, id: FlowId, now: Timestamp) {
        let Some(word) = self.flow(id).get(ENDED) else { return };
        let first = |was: u64| (was & !ANSWERED == 0).then_some(was | now.as_nanos());
        let _ = word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, first);
    }

    /// Whether a route waits for an answer.
    #[must_use]
    pub fn awaits(&self, id: FlowId) -> bool {
        let word = self.flow(id).get(BEYOND);
        word.is_some_and(|word| halves(word.load(Ordering::Relaxed)).1 != 0)
    }

    /// A route waits for no answer any more.
    pub fn release(&self, id: FlowId) {
        let Some(word) = self.flow(id).get(BEYOND) else { return };
        let (beyond, _) = halves(word.load(Ordering::Relaxed));
        word.store(pair(beyond, 0), Ordering::Release);
    }

    /// The same for what answers a SYN.
    pub(super) fn answer(&self, id: FlowId) {
        if let Some(word) = self.flow(id).get(ENDED) {
            word.fetch_or(ANSWERED, Ordering::SeqCst);
        }
    }
}

/// How a route says whose answer it waits for: its number among routes, and one; 0 for none.
pub(super) fn awaited(answer: Option<FlowId>) -> u32 {
    let number = answer.and_then(|FlowId(id)| usize::from(id).checked_sub(ENTRIES));
    number.and_then(|number| u32::try_from(number + 1).ok()).unwrap_or(0)
}
