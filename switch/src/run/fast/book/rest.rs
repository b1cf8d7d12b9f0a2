//! When a place that a flow has left is free again: once no program can have a frame of it at hand.
//!
//! That is so after a grace period of the kernel's RCU that began later than the place was left. One is
//! asked for while places rest ([`super::Book::wants_grace`]); who changes something waits for one as well.

/// The grace period that a place waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn(u64);

/// How far grace periods are.
#[derive(Debug, Default)]
pub(super) struct Rests {
    begun: u64,
    ended: u64,
    /// One has been asked for, and has not ended.
    asked: bool,
}

impl Rests {
    /// Which one a place waits for that is left now: one under way began too early.
    pub(super) fn leave(&self) -> Turn {
        Turn(self.begun + 1)
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self, Turn(turn): Turn) -> bool {
        self.ended >= turn
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }

    pub(super) fn ask(&mut self) {
        self.asked = true;
    }

    /// Whoever asked has one.
    pub(super) fn serve(&mut self) {
        self.asked = false;
    }

    /// One begins; its number.
    pub(super) fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// It has ended, and whatever was left before it began is free. Several may last at once.
    pub(super) fn end(&mut self, number: u64) {
        self.ended = self.ended.max(number);
    }
}
