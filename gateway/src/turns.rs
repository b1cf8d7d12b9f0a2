//! Who holds how many places of a bounded table, and in which order each has come by them.
//!
//! For tables whose entries are few enough to be looked at one by one when an owner has to give way
//! to itself: fragments, neighbours. The table says which of the places written down are still
//! taken; those that are not are taken out on the way, and all at once where they are more than half.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use crate::hash::Key;

/// What one owner holds.
#[derive(Debug)]
struct Held<K> {
    places: usize,
    weight: usize,
    order: VecDeque<(u64, K)>,
}

/// The owners; those that hold nothing have no entry.
#[derive(Debug)]
pub(crate) struct Turns<O, K> {
    owners: HashMap<O, Held<K>, Key>,
    places: usize,
}

impl<O: Copy + Eq + Hash, K: Copy> Turns<O, K> {
    pub(crate) fn new(key: Key) -> Self {
        Self { owners: HashMap::with_hasher(key), places: 0 }
    }

    /// Places taken by all.
    pub(crate) fn total(&self) -> usize {
        self.places
    }

    /// Places an owner has, and what is in them.
    pub(crate) fn of(&self, owner: O) -> (usize, usize) {
        self.owners.get(&owner).map_or((0, 0), |held| (held.places, held.weight))
    }

    /// An owner takes a place, under a number that no other taking has had.
    pub(crate) fn enter(
        &mut self,
        owner: O,
        (serial, place): (u64, K),
        taken: impl Fn(u64, K) -> bool,
    ) {
        let empty = || Held { places: 0, weight: 0, order: VecDeque::new() };
        let held = self.owners.entry(owner).or_insert_with(empty);
        held.places += 1;
        self.places += 1;
        if held.order.len() >= 2 * held.places.max(32) {
            held.order.retain(|(serial, place)| taken(*serial, *place));
        }
        held.order.push_back((serial, place));
    }

    /// An owner has one place less.
    pub(crate) fn leave(&mut self, owner: O) {
        let Some(held) = self.owners.get_mut(&owner) else { return };
        held.places -= 1;
        self.places -= 1;
        if held.places == 0 {
            self.owners.remove(&owner);
        }
    }

    /// More, or less, is in an owner's places.
    pub(crate) fn weigh(&mut self, owner: O, more: usize, less: usize) {
        if let Some(held) = self.owners.get_mut(&owner) {
            held.weight = held.weight + more - less;
        }
    }

    /// The place an owner has had for longest, its turn taken: it is no longer in the order.
    pub(crate) fn oldest(&mut self, owner: O, taken: impl Fn(u64, K) -> bool) -> Option<(u64, K)> {
        let order = &mut self.owners.get_mut(&owner)?.order;
        loop {
            let (serial, place) = order.pop_front()?;
            if taken(serial, place) {
                return Some((serial, place));
            }
        }
    }

    /// It gets another turn.
    pub(crate) fn again(&mut self, owner: O, turn: (u64, K)) {
        if let Some(held) = self.owners.get_mut(&owner) {
            held.order.push_back(turn);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.owners.clear();
        self.places = 0;
    }
}
