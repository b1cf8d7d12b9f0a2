//! How often the host's interface of a network is mended: at once as a rule; who goes on taking it away
//! has it left as it is for a while, each time for longer, and it is mended again after that. A decision
//! without a clock, for `kept`.

use std::time::Duration;

use super::HostPort;

/// Mends of one interface in [`WITHIN`] that are done at once.
const MENDS: u32 = 10;
/// After as long without harm all is forgotten.
const WITHIN: Duration = Duration::from_secs(60);
/// How long it is left as it is at first, and at most; twice as long each time.
pub(super) const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);

/// What is kept of the host's place in a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The host is to have its place there, whether or not there is an interface at the moment.
    pub(super) wanted: bool,
    /// The place that it is to have again, once that is tried.
    pub(super) away: Option<HostPort>,
    /// When mends began to be counted, and how many there were.
    since: u64,
    mends: u32,
    /// Until when it is left as it is, in nanoseconds, and for how long that was decided.
    until: Option<u64>,
    pause: Duration,
}

/// Whether an interface is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// It is.
    Mend,
    /// It is left as it is for so long, which is told.
    Told(Duration),
    /// Which was told already.
    Silent,
}

impl Kept {
    /// Counts a harm that is seen at the time `now`.
    pub(super) fn harmed(&mut self, now: u64) -> Leave {
        if self.waits(now).is_some() {
            return Leave::Silent;
        }
        let quiet_since = self.since.max(self.until.unwrap_or(0));
        if now.saturating_sub(quiet_since) >= nanos(WITHIN) {
            (self.since, self.mends, self.pause, self.until) = (now, 0, Duration::ZERO, None);
        }
        // The pause has ended, and this is what was waited for.
        if self.until.take().is_some() {
            self.since = now;
            return Leave::Mend;
        }
        self.mends = self.mends.saturating_add(1);
        match self.mends {
            ..=MENDS => Leave::Mend,
            _ => Leave::Told(self.put_off(now)),
        }
    }

    /// It is left as it is from now on, for so long.
    pub(super) fn put_off(&mut self, now: u64) -> Duration {
        self.pause = (self.pause * 2).clamp(FIRST, LONGEST);
        self.until = Some(now.saturating_add(nanos(self.pause)));
        self.pause
    }

    /// How long it is left as it is yet.
    pub(super) fn waits(&self, now: u64) -> Option<Duration> {
        let left = self.until?.checked_sub(now).filter(|left| *left > 0)?;
        Some(Duration::from_nanos(left))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time, in seconds after some other.
    const fn at(second: u64) -> u64 {
        5_000_000_000_000 + second * 1_000_000_000
    }

    #[test]
    fn who_goes_on_has_it_left_for_longer_each_time() {
        let mut kept = Kept::default();
        assert!((0..10).all(|second| kept.harmed(at(second)) == Leave::Mend));
        let mut now = 11;
        for pause in [5, 10, 20, 40, 80, 160, 300, 300] {
            assert_eq!(kept.harmed(at(now)), Leave::Told(Duration::from_secs(pause)));
            assert_eq!(kept.harmed(at(now + pause - 1)), Leave::Silent);
            assert_eq!(kept.waits(at(now + pause - 1)), Some(Duration::from_secs(1)));
            // Then it is mended once, and the next harm is one too many.
            now += pause;
            assert_eq!((kept.waits(at(now)), kept.harmed(at(now))), (None, Leave::Mend));
            now += 1;
        }
    }

    #[test]
    fn a_minute_of_quiet_is_enough() {
        let mut kept = Kept::default();
        assert!((0..10).all(|second| kept.harmed(at(second)) == Leave::Mend));
        assert_eq!(kept.harmed(at(11)), Leave::Told(FIRST));
        assert_eq!(kept.harmed(at(16)), Leave::Mend);
        assert!((0..10).all(|second| kept.harmed(at(76 + second)) == Leave::Mend));
        assert_eq!(kept.harmed(at(87)), Leave::Told(FIRST));
    }

    #[test]
    fn a_few_in_each_minute_are_mended_for_ever() {
        let mut kept = Kept::default();
        assert!((0..100).all(|time| kept.harmed(at(time * 7)) == Leave::Mend));
    }

    #[test]
    fn what_cannot_be_made_is_tried_ever_more_seldom() {
        let mut kept = Kept::default();
        assert_eq!(kept.harmed(at(0)), Leave::Mend);
        assert_eq!(kept.put_off(at(1)), FIRST);
        assert_eq!(kept.harmed(at(6)), Leave::Mend);
        assert_eq!(kept.put_off(at(7)), 2 * FIRST);
    }
}
