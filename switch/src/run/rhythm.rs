//! Frames that come as regularly as a clock ticks: when is the next one due?
//!
//! Being woken costs a sleeping worker more than anything else it does for a frame, and traffic that
//! is paced (a ping, a voice call, a heartbeat) pays that each time. So a worker that was woken at
//! even intervals is awake shortly before the next frame is due. Fed by the worker; one that waited
//! in vain says so, and the rhythm has to prove itself again: when the traffic stops, so does this.

use std::time::Duration;

use wire::Timestamp;

/// Even intervals seen before one is predicted.
const PROOF: u32 = 3;
/// How much an interval may differ from the usual one and be called even: timers of an ordinary
/// process are late by 50 us, and waking adds to it.
const EVEN: Duration = Duration::from_micros(400);
/// Shorter intervals are not waited for: awake for each, a worker would be awake too much.
const SHORTEST: Duration = Duration::from_millis(5);
/// Longer ones are not: they say little about the next.
const LONGEST: Duration = Duration::from_millis(50);
/// Awake so long before a frame is due, and so long after.
const EARLY: Duration = Duration::from_micros(200);

/// What is known of the intervals between a worker's wakings.
#[derive(Default)]
pub(super) struct Rhythm {
    last: Timestamp,
    /// The usual interval: the mean of the last ones, the newer the weightier.
    interval: Duration,
    even: u32,
}

/// When to be awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watch {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Rhythm {
    /// A frame came to a worker that slept or watched for it.
    pub(super) fn beat(&mut self, now: Timestamp) {
        let interval = now.since(self.last);
        self.last = now;
        if interval.abs_diff(self.interval) <= EVEN {
            self.even = self.even.saturating_add(1);
            self.interval = (self.interval * 3 + interval) / 4;
        } else {
            (self.even, self.interval) = (0, interval);
        }
    }

    /// No frame came in the time of the watch.
    pub(super) fn miss(&mut self) {
        self.even = 0;
    }

    /// When the next frame is due, if that can be told and is yet to come.
    pub(super) fn next(&self, now: Timestamp) -> Option<Watch> {
        let known = self.even >= PROOF && (SHORTEST..=LONGEST).contains(&self.interval);
        let watch = Watch {
            from: self.last + self.interval.saturating_sub(EARLY),
            until: self.last + self.interval + EARLY,
        };
        (known && watch.from > now).then_some(watch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_nanos(micros * 1000)
    }

    fn after(beats: &[u64]) -> Rhythm {
        let mut rhythm = Rhythm::default();
        beats.iter().for_each(|micros| rhythm.beat(at(*micros)));
        rhythm
    }

    #[test]
    fn even_intervals_foretell_the_next() {
        let rhythm = after(&[100_000, 110_000, 120_100, 130_000, 140_000]);
        let Some(watch) = rhythm.next(at(140_100)) else { panic!("nothing was foretold") };
        assert!(watch.from < at(149_850) && watch.from > at(149_750), "{watch:?}");
        assert_eq!(watch.until.since(watch.from), EARLY * 2);
        assert_eq!(rhythm.next(watch.from), None, "too late to sleep until then");
    }

    #[test]
    fn too_few_too_uneven_too_short_or_too_long_foretell_nothing() {
        for beats in [
            &[100_000, 110_000, 120_000, 130_000][..],
            &[100_000, 110_000, 120_000, 130_000, 140_500],
            &[100_000, 103_000, 106_000, 109_000, 112_000],
            &[100_000, 160_000, 220_000, 280_000, 340_000],
        ] {
            assert_eq!(after(beats).next(at(beats[beats.len() - 1])), None, "{beats:?}");
        }
    }

    #[test]
    fn a_watch_in_vain_starts_the_proof_anew() {
        let mut rhythm = after(&[100_000, 110_000, 120_000, 130_000, 140_000]);
        rhythm.miss();
        assert_eq!(rhythm.next(at(140_000)), None);
        for beat in [150_000, 160_000, 170_000] {
            rhythm.beat(at(beat));
        }
        assert!(rhythm.next(at(170_000)).is_some());
    }
}
