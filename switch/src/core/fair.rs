//! Fair shares of a ring that fills: which frames to drop early, so that the kernel drops none.
//!
//! All ports share one ring, and where it is full the kernel drops whatever comes, of whomever. A
//! drop here costs a small part of what sending costs. So a worker that falls behind gives each
//! port the same number of frames in a window and drops the rest of those that send more: the ring
//! stays below its brink, and who sends little loses nothing. What a port may have follows from how
//! the ring fills, as in Approximate Fair Dropping (Pan, Breslau, Prabhakar, Shenker, 2003).
//!
//! Asked by a worker, once a batch and, while the ring fills, once a frame; it knows no clock, for
//! a window is a number of frames. Until the ring is three quarters full, and once it is down to a
//! sixteenth, nothing is dropped: what the worker has time for is never refused.

use super::port::PortId;

/// A smaller ring is full before any of this could help.
const LEAST: usize = 1024;
/// A frame of a port's share, which is counted in parts of frames.
const FRAME: u64 = 256;

/// The shares.
pub struct Fair {
    slots: usize,
    on: bool,
    /// What a port may have in a window, in parts of a frame, and what the last window left over.
    level: u64,
    left: u64,
    /// The same for this window, in frames.
    quota: u32,
    window: u32,
    taken: usize,
    waiting: usize,
    ports: Box<[Had]>,
}

/// What a port has had in a window.
#[derive(Clone, Copy, Default)]
struct Had {
    window: u32,
    frames: u32,
}

impl Fair {
    /// Shares of a ring with so many slots.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self {
            slots,
            on: false,
            level: 0,
            left: 0,
            quota: 0,
            window: 0,
            taken: 0,
            waiting: 0,
            ports: vec![Had::default(); PortId::MAX].into(),
        }
    }

    /// Looks how full the ring is, before a batch is taken out of it. `ready(n)`: more than n
    /// frames wait.
    pub fn look(&mut self, ready: impl Fn(usize) -> bool) {
        if !self.on {
            if self.slots >= LEAST && ready(self.slots / 4 * 3) {
                self.on = true;
                self.level = self.window() * FRAME / 4;
                self.begin(ready);
            }
        } else if !ready(self.slots / 16) {
            self.on = false;
        } else if self.taken as u64 >= self.window() {
            self.begin(ready);
        }
    }

    /// Whether a frame of `port` may go on. Ask once for each frame taken out.
    pub fn admit(&mut self, port: PortId) -> bool {
        if !self.on {
            return true;
        }
        self.taken += 1;
        let Some(had) = self.ports.get_mut(port.index()) else { return true };
        if had.window != self.window {
            *had = Had { window: self.window, frames: 0 };
        }
        let fits = had.frames < self.quota;
        had.frames += u32::from(fits);
        fits
    }

    /// Frames of a window.
    fn window(&self) -> u64 {
        self.slots as u64 / 8
    }

    /// Begins a window: shares shrink as far as more came than was taken, and grow or shrink a
    /// little more to bring the ring to a quarter.
    fn begin(&mut self, ready: impl Fn(usize) -> bool) {
        let waiting = count(self.slots, ready);
        if self.taken > 0 {
            let came = (self.taken + waiting).saturating_sub(self.waiting).max(1) as u64;
            let (taken, slots) = (self.taken as u64, self.slots as u64);
            let wanted = self.level * taken * (slots + slots / 4 - waiting as u64);
            let level = (wanted / (came * slots)).clamp(self.level / 8, self.level * 2);
            self.level = level.clamp(FRAME, self.window() * FRAME);
        }
        let share = self.level + self.left;
        self.quota = u32::try_from(share / FRAME).unwrap_or(u32::MAX);
        self.left = share % FRAME;
        self.window = self.window.wrapping_add(1);
        (self.taken, self.waiting) = (0, waiting);
    }
}

/// How many frames wait: they lie one behind the other, so halving finds the last.
fn count(slots: usize, ready: impl Fn(usize) -> bool) -> usize {
    let (mut at_least, mut below) = (0, slots + 1);
    while at_least + 1 < below {
        let middle = usize::midpoint(at_least, below);
        if ready(middle - 1) { at_least = middle } else { below = middle }
    }
    at_least
}

#[cfg(test)]
#[path = "fair_tests.rs"]
mod tests;
