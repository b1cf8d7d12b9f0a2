//! From a hash to a slot number: groups of four entries, four bytes an entry.
//!
//! An entry is the slot's number and, in the bits above it, a tag of the hash, so that a look-up
//! touches one cache line here and one of the slot itself; for a million sessions it is small
//! enough for a cache. The entries of a group are compared without a branch between them: which
//! one it is cannot be foretold, and a processor that has guessed wrong does nothing meanwhile.
//!
//! A key lies in the group its hash names or, where that is full, in the next that is not. A group
//! is filled from its front and removal moves entries up, so there are no tombstones and the table
//! never degrades. It is made for its owner's capacity at a load of at most three fifths and can
//! therefore never fill up.

/// Entries of a group.
const GROUP: usize = 4;

/// Maps hashes to slot numbers; the owner compares keys.
#[derive(Debug)]
pub(crate) struct Index {
    groups: Vec<[u32; GROUP]>,
    /// The bits of an entry that hold the slot's number plus one.
    number: u32,
    used: usize,
}

impl Index {
    /// For slots below `capacity`. The memory is zeroed lazily by the kernel.
    pub(crate) fn new(capacity: usize) -> Self {
        let bits = u32::try_from(capacity).map_or(0, u32::leading_zeros);
        let number = u32::MAX.checked_shr(bits).unwrap_or(0);
        let groups = (capacity * 5).div_ceil(3 * GROUP) + 1;
        Self { groups: vec![[0; GROUP]; groups], number, used: 0 }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    pub(crate) fn bytes(&self) -> usize {
        self.groups.len() * size_of::<[u32; GROUP]>()
    }

    /// The slot with this hash for which `is` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = self.tag(hash);
        let group = &self.groups[self.home(hash)];
        let mut hits = 0;
        for (n, entry) in group.iter().enumerate() {
            hits |= u32::from((entry ^ tag) & !self.number == 0) << n;
        }
        // A free entry looks like one whose tag is 0.
        match group.get(hits.trailing_zeros() as usize) {
            Some(&entry) if entry != 0 && is((entry & self.number) - 1) => {
                Some((entry & self.number) - 1)
            }
            _ => self.find_beyond(hash, is),
        }
    }

    /// The same where the first entry with this tag is not the one: one by one, in all groups.
    #[inline(never)]
    fn find_beyond(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = self.tag(hash);
        let mut at = self.home(hash);
        loop {
            for entry in self.groups[at] {
                if entry == 0 {
                    return None;
                }
                if entry & !self.number == tag && is((entry & self.number) - 1) {
                    return Some((entry & self.number) - 1);
                }
            }
            at = self.after(at);
        }
    }

    /// Adds a slot; the owner has made sure that its key is not there yet.
    pub(crate) fn insert(&mut self, hash: u64, slot: u32) {
        debug_assert!(slot < self.number, "the owner exceeds its capacity");
        debug_assert!(
            self.used * 5 < self.groups.len() * GROUP * 3,
            "the owner exceeds its capacity"
        );
        let entry = self.tag(hash) | (slot + 1);
        let mut at = self.home(hash);
        self.used += 1;
        loop {
            if let Some(free) = self.groups[at].iter_mut().find(|e| **e == 0) {
                *free = entry;
                return;
            }
            at = self.after(at);
        }
    }

    /// Takes a slot out; nothing happens where it is not there. `hash_of` gives the hashes of the
    /// slots that are moved.
    pub(crate) fn remove(&mut self, hash: u64, slot: u32, hash_of: impl Fn(u32) -> u64) {
        let wanted = self.tag(hash) | (slot + 1);
        let mut at = self.home(hash);
        let mut hole = loop {
            let group = &self.groups[at];
            if let Some(place) = group.iter().position(|e| *e == wanted) {
                break (at, place);
            }
            if !is_full(group) {
                return;
            }
            at = self.after(at);
        };
        self.used -= 1;
        // Where the hole's group was full, others may have gone past it.
        while let Some(from) = self.displaced(hole.0, &hash_of) {
            self.groups[hole.0][hole.1] = self.groups[from.0][from.1];
            hole = from;
        }
        let group = &mut self.groups[hole.0];
        let end = group.iter().position(|e| *e == 0).unwrap_or(GROUP);
        group[hole.1] = group[end - 1];
        group[end - 1] = 0;
    }

    /// The nearest entry of a later group that was not put into this one or before because this
    /// one was full.
    fn displaced(&self, full: usize, hash_of: impl Fn(u32) -> u64) -> Option<(usize, usize)> {
        let mut at = full;
        while is_full(&self.groups[at]) {
            at = self.after(at);
            let displaced = |entry: &u32| {
                *entry != 0 && {
                    // Unless its home lies after that group.
                    let home = self.home(hash_of((entry & self.number) - 1));
                    self.distance(home, at) >= self.distance(full, at)
                }
            };
            if let Some(place) = self.groups[at].iter().position(displaced) {
                return Some((at, place));
            }
        }
        None
    }

    /// Forgets all of them. The memory is given back, and zeroed lazily again.
    pub(crate) fn clear(&mut self) {
        self.groups = vec![[0; GROUP]; self.groups.len()];
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
        (((hash >> 32) * self.groups.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.groups.len() { 0 } else { at + 1 }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.groups.len() - from }
    }
}

fn is_full(group: &[u32; GROUP]) -> bool {
    group[GROUP - 1] != 0
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a HashMap, with few distinct hashes so that groups overflow and wrap around.
        #[test]
        fn behaves_as_a_map(
            ops in prop::collection::vec((any::<bool>(), 0u32..40, 0u32..9), 1..600),
        ) {
            let mut index = Index::new(40);
            let mut model: HashMap<u32, u64> = HashMap::new();
            for (add, key, group) in ops {
                // One of the last nine groups of eighteen.
                let home = u64::from(u32::MAX - group * (u32::MAX / 18));
                let hash = home << 32 | u64::from(key % 3) << 30;
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
                for key in (0..40).filter(|key| !model.contains_key(key)) {
                    prop_assert_eq!(index.find(hash, |s| s == key), None);
                }
            }
            for (key, hash) in model.clone() {
                index.remove(hash, key, |slot| model[&slot]);
                model.remove(&key);
            }
            prop_assert!(index.groups.iter().flatten().all(|entry| *entry == 0));
        }
    }
}
