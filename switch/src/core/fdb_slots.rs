//! Where the forwarding table keeps its rows: four slots a cache line.
//!
//! Owned by [`super::Fdb`], which says who may write. A key lies in the line its hash names or,
//! where that was full, in one of the three after it.

use std::ops::Index;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fdb_row::Value;

/// Slots of a line.
const LINE: usize = 4;
/// Slots a key may lie in.
pub(super) const WINDOW: usize = 4 * LINE;

/// A key, 0 where the place is free, and its value.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) key: AtomicU64,
    pub(super) value: AtomicU64,
}

impl Slot {
    pub(super) fn is_free(&self) -> bool {
        self.key.load(Ordering::Relaxed) == 0
    }

    pub(super) fn value(&self) -> Value {
        Value(self.value.load(Ordering::Acquire))
    }

    /// Puts a row in: the value before the key.
    pub(super) fn fill(&self, key: u64, value: Value) {
        self.value.store(value.0, Ordering::Release);
        self.key.store(key, Ordering::Release);
    }
}

/// What a look-up waits for.
#[derive(Default)]
#[repr(align(64))]
struct Line([Slot; LINE]);

impl Line {
    /// All four are compared, without a branch between them: which one it is cannot be foretold.
    /// The key is read again after the value, so a slot that changed hands in between is not
    /// believed.
    #[inline]
    fn find(&self, key: u64) -> Option<(&Slot, Value)> {
        let held = |at: usize| u32::from(self.0[at].key.load(Ordering::Acquire) == key) << at;
        let hits = held(0) | held(1) | held(2) | held(3);
        let slot = self.0.get(hits.trailing_zeros() as usize)?;
        let value = slot.value();
        (slot.key.load(Ordering::Acquire) == key).then_some((slot, value))
    }
}

/// All slots; their number is a power of two.
pub(super) struct Slots(Box<[Line]>);

impl Slots {
    /// Free ones, at least `count`.
    pub(super) fn new(count: usize) -> Self {
        let lines = count.div_ceil(LINE).next_power_of_two();
        Self((0..lines).map(|_| Line::default()).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() * LINE
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter().flat_map(|line| &line.0)
    }

    /// The slots a key with this hash may lie in, the likeliest first.
    pub(super) fn window(&self, hash: u64) -> impl Iterator<Item = &Slot> {
        let start = self.home(hash) * LINE;
        (0..WINDOW).map(move |step| &self[start + step])
    }

    /// The slot and value of a key.
    #[expect(clippy::inline_always, reason = "twice a frame; the two then wait side by side")]
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, key: u64) -> Option<(&Slot, Value)> {
        let home = self.home(hash);
        self.0[home].find(key).or_else(|| self.find_beyond(home, key))
    }

    /// In the lines after its own.
    #[inline(never)]
    fn find_beyond(&self, home: usize, key: u64) -> Option<(&Slot, Value)> {
        (1..WINDOW / LINE).find_map(|step| self.0[(home + step) & (self.0.len() - 1)].find(key))
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        usize::try_from(hash & 0xffff_ffff).unwrap_or(0) & (self.0.len() - 1)
    }
}

/// By number, counted round.
impl Index<usize> for Slots {
    type Output = Slot;

    fn index(&self, number: usize) -> &Slot {
        &self.0[(number / LINE) & (self.0.len() - 1)].0[number % LINE]
    }
}
