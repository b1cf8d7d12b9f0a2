//! Ends of connections, as the programs note them with a route.

use std::sync::atomic::Ordering;

use wire::Timestamp;

use super::{FlowId, Table};
use crate::layout::ENDED;

impl Table {
    /// When the kernel sent on the first segment with FIN by a route's place since the place was
    /// taken; it is in the totals that are read afterwards.
    #[must_use]
    pub fn ended(&self, id: FlowId) -> Option<Timestamp> {
        let word = self.flow(id).get(ENDED)?.load(Ordering::Acquire);
        (word != 0).then(|| Timestamp::from_nanos(word))
    }

    /// A place is taken: no segment with FIN has been sent on by it.
    pub fn begin(&self, id: FlowId) {
        if let Some(word) = self.flow(id).get(ENDED) {
            word.store(0, Ordering::Release);
        }
    }

    /// Does what `forward` does for a segment with FIN that it has counted.
    pub fn end(&self, id: FlowId, now: Timestamp) {
        if let Some(word) = self.flow(id).get(ENDED) {
            let _ = word.compare_exchange(0, now.as_nanos(), Ordering::SeqCst, Ordering::SeqCst);
        }
    }
}
