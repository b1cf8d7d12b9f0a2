//! When the next probe may leave: ping's token bucket, which lets `preload` of them leave at once
//! and then one an interval.

use std::time::Duration;

use wire::Timestamp;

/// Without an interval and without an answer: a hundred a second.
const FLOOD_PAUSE: Duration = Duration::from_millis(10);

/// The bucket.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    preload: u32,
    last: Option<Timestamp>,
    saved: Duration,
    held: Timestamp,
}

impl Pace {
    pub(crate) fn new(interval: Duration, preload: u32) -> Self {
        Self { interval, preload, last: None, saved: Duration::ZERO, held: Timestamp::ZERO }
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    pub(crate) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// When the next probe may leave: now, or then.
    pub(crate) fn due(&self, in_flight: u64, now: Timestamp) -> Timestamp {
        let Some(last) = self.last else { return now };
        if self.interval.is_zero() && in_flight >= u64::from(self.preload) {
            return (last + FLOOD_PAUSE).max(self.held);
        }
        let saved = self.saved(last, now);
        (now + self.interval.saturating_sub(saved)).max(self.held)
    }

    /// The time saved up, no more than the preload is worth.
    fn saved(&self, last: Timestamp, now: Timestamp) -> Duration {
        (now.since(last) + self.saved).min(self.interval.saturating_mul(self.preload))
    }

    /// A probe leaves.
    pub(crate) fn take(&mut self, now: Timestamp) {
        self.saved = match self.last {
            None => self.interval.saturating_mul(self.preload.saturating_sub(1)),
            Some(last) => self.saved(last, now).saturating_sub(self.interval),
        };
        self.last = Some(now);
    }

    /// Nothing leaves before then.
    pub(crate) fn hold(&mut self, until: Timestamp) {
        self.saved = Duration::ZERO;
        self.held = until;
    }
}
