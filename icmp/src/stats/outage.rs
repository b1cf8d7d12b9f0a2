//! The longest time without an answer, as it is when something fails over. Kept by the session
//! as answers come; the end of the run closes the last gap.

use std::time::Duration;

use wire::Timestamp;

/// Keeps the longest gap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outage {
    since: Option<Timestamp>,
    after: u64,
    longest: Option<Gap>,
}

/// A time without an answer: from the first probe, or the last answer, to the next answer or the
/// end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How long.
    pub time: Duration,
    /// The probe, counted from 1, whose answer it began after; 0 at the beginning.
    pub after: u64,
    /// Probes sent in it that were not answered by its end.
    pub lost: u64,
}

impl Outage {
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.since.get_or_insert(now);
    }

    /// Probe `number` (from 1) was answered.
    pub(crate) fn answer(&mut self, number: u64, now: Timestamp) {
        self.close(number.saturating_sub(self.after + 1), now);
        self.since = self.since.max(Some(now));
        self.after = self.after.max(number);
    }

    /// It is over, after `sent` probes of which the last ones may be lost.
    pub(crate) fn end(&mut self, sent: u64, now: Timestamp) {
        let lost = sent.saturating_sub(self.after);
        if lost > 0 {
            self.close(lost, now);
        }
    }

    fn close(&mut self, lost: u64, now: Timestamp) {
        let Some(since) = self.since else { return };
        let gap = Gap { time: now.since(since), after: self.after, lost };
        if self.longest.is_none_or(|longest| longest.time < gap.time) {
            self.longest = Some(gap);
        }
    }

    /// The longest gap; None where nothing was sent.
    #[must_use]
    pub fn longest(&self) -> Option<Gap> {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Gap, Outage, Timestamp};

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn the_longest_gap_is_kept() {
        let mut outage = Outage::default();
        outage.begin(at(0));
        for (number, ms) in [(1, 1), (2, 101), (6, 501), (7, 601)] {
            outage.answer(number, at(ms));
        }
        let longest = Gap { time: Duration::from_millis(400), after: 2, lost: 3 };
        assert_eq!(outage.longest(), Some(longest));
        outage.end(7, at(5000));
        assert_eq!(outage.longest(), Some(longest), "nothing is missing at the end");
        outage.end(9, at(5000));
        let last = Gap { time: Duration::from_millis(4399), after: 7, lost: 2 };
        assert_eq!(outage.longest(), Some(last));
    }

    #[test]
    fn all_lost_is_one_gap() {
        let mut outage = Outage::default();
        assert_eq!(outage.longest(), None);
        outage.begin(at(0));
        outage.end(3, at(3000));
        assert_eq!(outage.longest(), Some(Gap { time: Duration::from_secs(3), after: 0, lost: 3 }));
    }
}
