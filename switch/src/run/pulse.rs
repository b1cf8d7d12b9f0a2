//! Whether a ring still lives: pure, fed by its worker.
//!
//! A ring that is full drops, and then there are frames in it. One that drops while nothing is in
//! it, and out of which nothing has come since the last look, at which it was empty too, is filled
//! no more (`sys::packet::Spare` has the cause). Its worker asks for another.

use std::time::Duration;

use wire::Timestamp;

/// How often a sleeping worker looks: what has stopped wakes nobody.
const SELDOM: Duration = Duration::from_secs(1);
/// While frames come now and then: what a ring that stops costs the others is what they send from one
/// look to the next.
const LIVELY: Duration = Duration::from_millis(20);
/// And after something has been dropped.
const OFTEN: Duration = Duration::from_millis(5);
/// So long after the last frame they no longer do, and so long after a ring was opened anew what
/// stopped it may come again.
const RESTLESS: Duration = Duration::from_secs(10);

/// What is known of a ring.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Frames have come out of it since the last look.
    beats: bool,
    was_empty: bool,
    dropped: bool,
    /// Another has been asked for.
    asked: bool,
    /// Dropped since the look in which the last frame came out, those of that look among them: it
    /// may have stopped at any moment of it.
    lost: u64,
    restless: Option<Timestamp>,
    /// Until then frames come now and then.
    lively: Option<Timestamp>,
}

impl Pulse {
    /// Frames came out.
    pub(super) fn beat(&mut self) {
        self.beats = true;
    }

    /// A look: the kernel has dropped so many since the last, and then the ring was empty, or not.
    /// True where another ring is to be asked for.
    pub(super) fn look(&mut self, drops: u64, is_empty: bool, now: Timestamp) -> bool {
        let silent = !std::mem::take(&mut self.beats);
        if !silent {
            self.lively = Some(now + RESTLESS);
        }
        let was_empty = std::mem::replace(&mut self.was_empty, is_empty);
        self.dropped = drops > 0;
        self.lost = if silent { self.lost + drops } else { drops };
        let stopped = silent && was_empty && is_empty && self.dropped;
        stopped && !std::mem::replace(&mut self.asked, true)
    }

    /// No other ring could be had: it is asked for again.
    pub(super) fn refused(&mut self) {
        self.asked = false;
    }

    /// The ring is another now; the old one dropped so many more. Says how many it cost in all.
    pub(super) fn renewed(&mut self, drops: u64, now: Timestamp) -> u64 {
        let lost = self.lost + drops;
        *self = Self { restless: Some(now + RESTLESS), ..Self::default() };
        lost
    }

    /// When to look again, at the latest.
    pub(super) fn next(&self, now: Timestamp) -> Timestamp {
        let lasts = |until: Option<Timestamp>| until.is_some_and(|until| now < until);
        now + match () {
            () if self.dropped || lasts(self.restless) => OFTEN,
            () if lasts(self.lively) => LIVELY,
            () => SELDOM,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::ZERO;

    #[test]
    fn drops_of_a_full_ring_are_no_reason() {
        let mut pulse = Pulse::default();
        assert!(!pulse.look(0, true, NOW));
        // It was empty at both looks, and frames came out between.
        pulse.beat();
        assert!(!pulse.look(100, true, NOW));
        // Frames are in it: the worker has not come to them yet.
        assert!(!pulse.look(100, false, NOW));
        assert!(!pulse.look(100, true, NOW), "it was not empty at the look before");
        assert!(!pulse.look(0, true, NOW));
    }

    #[test]
    fn a_ring_that_drops_while_empty_is_asked_for_once() {
        let mut pulse = Pulse::default();
        pulse.beat();
        assert!(!pulse.look(1, true, NOW), "the look in which it stopped");
        assert!(pulse.look(2, true, NOW));
        assert!(!pulse.look(3, true, NOW), "it has been asked for");
        pulse.refused();
        assert!(pulse.look(4, true, NOW));
        assert_eq!(pulse.renewed(5, Timestamp::ZERO), 15);
        assert!(!pulse.look(1, true, NOW), "a new ring is not judged by its first look");
        assert!(pulse.look(1, true, NOW));
    }

    #[test]
    fn a_worker_looks_more_often_while_there_is_something_to_see() {
        let at =
            |pulse: &Pulse, second: u64| pulse.next(Timestamp::from_nanos(second * 1_000_000_000));
        let mut pulse = Pulse::default();
        assert_eq!(at(&pulse, 5), Timestamp::from_nanos(6_000_000_000));
        pulse.look(1, true, NOW);
        assert_eq!(at(&pulse, 5), Timestamp::from_nanos(5_005_000_000));
        pulse.renewed(0, Timestamp::from_nanos(5_000_000_000));
        assert_eq!(at(&pulse, 14), Timestamp::from_nanos(14_005_000_000));
        assert_eq!(at(&pulse, 15), Timestamp::from_nanos(16_000_000_000));
        // Frames that come now and then, and those who send them, are not kept waiting for a second.
        pulse.beat();
        pulse.look(0, true, Timestamp::from_nanos(20_000_000_000));
        assert_eq!(at(&pulse, 29), Timestamp::from_nanos(29_020_000_000));
        assert_eq!(at(&pulse, 30), Timestamp::from_nanos(31_000_000_000));
    }
}
