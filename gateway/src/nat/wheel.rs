//! When sessions end: a wheel of one-second slots, each a list through the sessions themselves.
//!
//! A refresh changes only the session's own `expires`; the list is put right when its slot comes
//! round, once a lifetime. So a living session costs nothing a packet, and expiry costs what
//! expires. A lifetime longer than the wheel waits in the farthest slot and is linked anew there.

use wire::Timestamp;

use super::session::{NONE, Rest, State};
use super::slots::Slots;

const SLOTS: u32 = 8192;
const WORDS: usize = SLOTS as usize / 64;

/// The heads of the lists, and which of them are not empty.
#[derive(Debug)]
pub(crate) struct Wheel {
    heads: Vec<u32>,
    occupied: [u64; WORDS],
    /// Every slot before this second has been emptied.
    swept: u32,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self { heads: vec![NONE; SLOTS as usize], occupied: [0; WORDS], swept: 0 }
    }

    pub(crate) const fn bytes(&self) -> usize {
        SLOTS as usize * 4 + WORDS * 8
    }

    /// Links a session by its `expires`. `now` guards the first use of a clock far from zero.
    pub(crate) fn link(&mut self, slots: &mut Slots, id: u32, now: Timestamp) {
        if self.occupied.iter().all(|w| *w == 0) {
            self.swept = self.swept.max(floor(now));
        }
        self.put(slots, id);
    }

    fn put(&mut self, slots: &mut Slots, id: u32) {
        let due = ceil(slots.sessions[id as usize].expires)
            .clamp(self.swept, self.swept.saturating_add(SLOTS - 1));
        let slot = due % SLOTS;
        let head = self.heads[slot as usize];
        slots.sessions[id as usize].due = slot as u16;
        let rest = &mut slots.rests[id as usize];
        (rest.prev, rest.next) = (NONE, head);
        if head != NONE {
            slots.rests[head as usize].prev = id;
        }
        self.heads[slot as usize] = id;
        self.occupied[slot as usize / 64] |= 1 << (slot % 64);
    }

    /// Takes a session out of its list.
    pub(crate) fn unlink(&mut self, slots: &mut Slots, id: u32) {
        let Rest { prev, next, .. } = slots.rests[id as usize];
        let slot = slots.sessions[id as usize].due;
        if prev == NONE {
            self.heads[usize::from(slot)] = next;
            if next == NONE {
                self.occupied[usize::from(slot) / 64] &= !(1 << (slot % 64));
            }
        } else {
            slots.rests[prev as usize].next = next;
        }
        if next != NONE {
            slots.rests[next as usize].prev = prev;
        }
    }

    /// After `expires` has changed: links anew only where it is now due earlier than its slot.
    #[inline]
    pub(crate) fn moved(&mut self, slots: &mut Slots, id: u32) {
        let session = &slots.sessions[id as usize];
        // All that is linked lies within one turn of the wheel from `swept` on.
        let ahead = u32::from(session.due).wrapping_sub(self.swept) % SLOTS;
        if ceil(session.expires) < self.swept.saturating_add(ahead) {
            self.unlink(slots, id);
            self.put(slots, id);
        }
    }

    /// The next session that has expired by `now`; sessions that were refreshed meanwhile are
    /// linked anew on the way, each taking one from `budget`. The caller closes what it is given.
    pub(crate) fn expired(
        &mut self,
        slots: &mut Slots,
        now: Timestamp,
        budget: &mut u32,
    ) -> Option<u32> {
        let until = floor(now);
        loop {
            let Some(due) = self.first() else {
                self.swept = self.swept.max(until);
                return None;
            };
            if due > until || *budget == 0 {
                self.swept = self.swept.max(due.min(until));
                return None;
            }
            self.swept = due;
            *budget -= 1;
            let id = self.heads[(due % SLOTS) as usize];
            debug_assert!(slots.sessions[id as usize].state != State::Free);
            if slots.sessions[id as usize].expires <= now {
                return Some(id);
            }
            self.unlink(slots, id);
            self.put(slots, id);
        }
    }

    /// When the next slot that holds anything is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.first().map(|s| Timestamp::from_nanos(u64::from(s) * 1_000_000_000))
    }

    pub(crate) fn clear(&mut self) {
        self.heads.fill(NONE);
        self.occupied = [0; WORDS];
    }

    /// The second of the first occupied slot from `swept` on.
    fn first(&self) -> Option<u32> {
        let start = self.swept % SLOTS;
        let mut word = start as usize / 64;
        let mut bits = self.occupied[word] & (u64::MAX << (start % 64));
        for _ in 0..=WORDS {
            if bits != 0 {
                let slot = u32::try_from(word).unwrap_or(0) * 64 + bits.trailing_zeros();
                return Some(self.swept + (slot + SLOTS - start) % SLOTS);
            }
            word = (word + 1) % WORDS;
            bits = self.occupied[word];
        }
        None
    }
}

fn floor(time: Timestamp) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// Rounded up, so that a slot that is due holds only what has expired or was refreshed.
fn ceil(time: Timestamp) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
