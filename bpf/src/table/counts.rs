//! What the kernel has counted by places.

use std::sync::atomic::Ordering;

use wire::Timestamp;

use super::{FlowId, Table, Totals};
use crate::layout::{COUNT, ROWS};

impl Table {
    /// All that the kernel has ever done at a place.
    #[must_use]
    pub fn totals(&self, id: FlowId) -> Totals {
        let mut sum = Totals::default();
        for core in 0..self.cores {
            let at = (core * ROWS + usize::from(id.0) % ROWS) * COUNT;
            let row = &self.counts.get()[at..at + COUNT];
            let [frames, bytes, failed, seen, packets, gone, misplaced] =
                [0, 1, 2, 3, 4, 5, 6].map(|word: usize| row[word].load(Ordering::Acquire));
            sum.frames += frames;
            sum.packets += packets;
            sum.gone += gone;
            sum.bytes += bytes;
            sum.failed += failed >> 40;
            sum.failed_bytes += failed & ((1 << 40) - 1);
            sum.misplaced += misplaced >> 40;
            sum.misplaced_bytes += misplaced & ((1 << 40) - 1);
            sum.seen = sum.seen.max(Timestamp::from_nanos(seen));
        }
        sum
    }
}
