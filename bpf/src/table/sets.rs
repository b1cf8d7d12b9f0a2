//! Sets of ports that the frames of a flow are flooded to: written before their flow is, and given to
//! another flow only when no program can still have the old one at hand.
//!
//! Bounds: [`SETS`] sets of up to [`MEMBERS`] ports.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Table, pair};
#[cfg(doc)]
use crate::layout::SETS;
use crate::layout::{MEMBER, MEMBERS, SET};

/// A set's place: below [`SETS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetId(pub u16);

/// Copies that could not be sent to a port of a set since it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Copies, and their bytes.
    pub failed: u64,
    /// See there.
    pub failed_bytes: u64,
    /// Those of them whose port was no more, or down.
    pub gone: u64,
}

impl Table {
    /// Writes a set; ports beyond [`MEMBERS`] are not in it. Nothing has been missed by it yet.
    pub fn write_set(&self, id: SetId, ports: impl IntoIterator<Item = u32>) {
        let [first, members @ ..] = self.set(id) else { return };
        let mut count = 0;
        for (member, ifindex) in members.chunks_exact(MEMBER).zip(ports) {
            for (word, value) in member.iter().zip([pair(ifindex, 0), 0, 0]) {
                word.store(value, Ordering::Relaxed);
            }
            count += 1;
        }
        first.store(pair(count, 0), Ordering::Release);
    }

    /// What was missed by the ports of a set, in their order.
    pub fn missed(&self, id: SetId) -> impl Iterator<Item = Missed> {
        let members = self.set(id)[1..].chunks_exact(MEMBER).take(MEMBERS);
        members.map(|member| {
            let [_, failed, gone] =
                [0, 1, 2].map(|word: usize| member[word].load(Ordering::Acquire));
            Missed { failed: failed >> 40, failed_bytes: failed & ((1 << 40) - 1), gone }
        })
    }

    pub(super) fn set(&self, SetId(number): SetId) -> &[AtomicU64] {
        let at = usize::from(number) * SET;
        &self.sets.get()[at..at + SET]
    }
}
