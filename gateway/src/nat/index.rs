//! From a hash to a slot number: open addressing with linear probing, eight bytes an entry.
//!
//! An entry is a 32-bit tag of the hash and the slot's number, so that a look-up touches one
//! cache line here and one of the slot itself. Removal shifts entries back, so there are no
//! tombstones and the table never degrades. It is made for its owner's capacity at a load of at
//! most one half and can therefore never fill up.

/// Maps hashes to slot numbers; the owner compares keys.
#[derive(Debug)]
pub(crate) struct Index {
    entries: Vec<u64>,
    used: usize,
}

impl Index {
    /// For `capacity` slots. The memory is zeroed lazily by the kernel.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: vec![0; (capacity * 2).max(8)], used: 0 }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.len() * size_of::<u64>()
    }

    /// The slot with this hash for which `is` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = hash >> 32;
        let mut at = self.home(tag);
        loop {
            let entry = self.entries[at];
            if entry == 0 {
                return None;
            }
            if entry >> 32 == tag && is(slot(entry)) {
                return Some(slot(entry));
            }
            at = self.after(at);
        }
    }

    /// Adds a slot; the owner has made sure that its key is not there yet.
    pub(crate) fn insert(&mut self, hash: u64, slot: u32) {
        debug_assert!(self.used * 2 < self.entries.len() + 2, "the owner exceeds its capacity");
        let tag = hash >> 32;
        let mut at = self.home(tag);
        while self.entries[at] != 0 {
            at = self.after(at);
        }
        self.entries[at] = tag << 32 | (u64::from(slot) + 1);
        self.used += 1;
    }

    /// Takes a slot out; nothing happens where it is not there.
    pub(crate) fn remove(&mut self, hash: u64, slot_number: u32) {
        let wanted = (hash >> 32) << 32 | (u64::from(slot_number) + 1);
        let mut hole = self.home(hash >> 32);
        while self.entries[hole] != wanted {
            if self.entries[hole] == 0 {
                return;
            }
            hole = self.after(hole);
        }
        self.used -= 1;
        let mut at = hole;
        loop {
            at = self.after(at);
            let entry = self.entries[at];
            if entry == 0 {
                break;
            }
            // An entry may move back to the hole unless its home lies after the hole.
            if self.distance(self.home(entry >> 32), at) >= self.distance(hole, at) {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = 0;
    }

    pub(crate) fn clear(&mut self) {
        self.entries.fill(0);
        self.used = 0;
    }

    /// The tag scaled to the table (Lemire's fast range): any size works, no division.
    #[inline]
    fn home(&self, tag: u64) -> usize {
        ((tag * self.entries.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.entries.len() { 0 } else { at + 1 }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.entries.len() - from }
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low half by intent")]
fn slot(entry: u64) -> u32 {
    (entry as u32).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a HashMap, with few distinct hashes so that runs collide and wrap around.
        #[test]
        fn behaves_as_a_map(ops in proptest::collection::vec((any::<bool>(), 0u32..40, 0u64..6), 1..300)) {
            let mut index = Index::new(40);
            let mut model = HashMap::new();
            for (add, key, spread) in ops {
                let hash = (0xffff_ffff_u64 - (u64::from(key) % (spread + 1))) << 32;
                if add && !model.contains_key(&key) {
                    index.insert(hash, key);
                    model.insert(key, hash);
                } else if !add && let Some(hash) = model.remove(&key) {
                    index.remove(hash, key);
                }
                prop_assert_eq!(index.len(), model.len());
                for (key, hash) in &model {
                    prop_assert_eq!(index.find(*hash, |s| s == *key), Some(*key));
                }
                for key in 0..40 {
                    if !model.contains_key(&key) {
                        prop_assert_eq!(index.find(0xffff_ffff << 32, |s| s == key), None);
                    }
                }
            }
        }
    }
}
