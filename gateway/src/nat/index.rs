//! From a hash to a slot number: open addressing with linear probing, four bytes an entry.
//!
//! An entry is the slot's number and, in the bits above it, a tag of the hash, so that a look-up
//! touches one cache line here and one of the slot itself; for a million sessions it is small
//! enough for a cache. Removal shifts entries back, so there are no tombstones and the table never
//! degrades. It is made for its owner's capacity at a load of at most one half and can therefore
//! never fill up.

/// Maps hashes to slot numbers; the owner compares keys.
#[derive(Debug)]
pub(crate) struct Index {
    entries: Vec<u32>,
    /// The bits of an entry that hold the slot's number plus one.
    number: u32,
    used: usize,
}

impl Index {
    /// For slots below `capacity`. The memory is zeroed lazily by the kernel.
    pub(crate) fn new(capacity: usize) -> Self {
        let bits = u32::try_from(capacity).map_or(0, u32::leading_zeros);
        let number = u32::MAX.checked_shr(bits).unwrap_or(0);
        Self { entries: vec![0; (capacity * 2).max(8)], number, used: 0 }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.len() * size_of::<u32>()
    }

    /// The slot with this hash for which `is` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = self.tag(hash);
        let mut at = self.home(hash);
        loop {
            let entry = self.entries[at];
            if entry == 0 {
                return None;
            }
            if entry & !self.number == tag && is((entry & self.number) - 1) {
                return Some((entry & self.number) - 1);
            }
            at = self.after(at);
        }
    }

    /// Adds a slot; the owner has made sure that its key is not there yet.
    pub(crate) fn insert(&mut self, hash: u64, slot: u32) {
        debug_assert!(slot < self.number, "the owner exceeds its capacity");
        debug_assert!(self.used * 2 < self.entries.len() + 2, "the owner exceeds its capacity");
        let mut at = self.home(hash);
        while self.entries[at] != 0 {
            at = self.after(at);
        }
        self.entries[at] = self.tag(hash) | (slot + 1);
        self.used += 1;
    }

    /// Takes a slot out; nothing happens where it is not there. `hash_of` gives the hashes of the
    /// slots that are shifted.
    pub(crate) fn remove(&mut self, hash: u64, slot: u32, hash_of: impl Fn(u32) -> u64) {
        let wanted = self.tag(hash) | (slot + 1);
        let mut hole = self.home(hash);
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
            let home = self.home(hash_of((entry & self.number) - 1));
            if self.distance(home, at) >= self.distance(hole, at) {
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

    /// The bits of the hash that an entry has room for.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low half by intent")]
    fn tag(&self, hash: u64) -> u32 {
        hash as u32 & !self.number
    }

    /// The high half scaled to the table (Lemire's fast range): any size works, no division.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.entries.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.entries.len() { 0 } else { at + 1 }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.entries.len() - from }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a HashMap, with few distinct hashes so that runs collide and wrap around.
        #[test]
        fn behaves_as_a_map(
            ops in prop::collection::vec((any::<bool>(), 0u32..40, 0u64..6), 1..300),
        ) {
            let mut index = Index::new(40);
            let mut model = HashMap::new();
            for (add, key, spread) in ops {
                let tag = u64::from(key % 3) << 30;
                let hash = (0xffff_ffff_u64 - (u64::from(key) % (spread + 1))) << 32 | tag;
                if add && !model.contains_key(&key) {
                    index.insert(hash, key);
                    model.insert(key, hash);
                } else if !add && let Some(hash) = model.remove(&key) {
                    index.remove(hash, key, |slot| if slot == key { hash } else { model[&slot] });
                    index.remove(hash, key, |slot| model[&slot]);
                }
                prop_assert_eq!(index.len(), model.len());
                for (key, hash) in &model {
                    prop_assert_eq!(index.find(*hash, |s| s == *key), Some(*key));
                }
                for key in 0..40 {
                    if !model.contains_key(&key) {
                        let hash = 0xffff_ffff << 32 | u64::from(key % 3) << 30;
                        prop_assert_eq!(index.find(hash, |s| s == key), None);
                    }
                }
            }
        }
    }
}
