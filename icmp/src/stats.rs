//! What a run of probes comes to: losses, duplicates, round trips.

use std::time::Duration;

/// Counters and round trips of one run.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Probes sent.
    pub sent: u64,
    /// Probes answered, each once.
    pub received: u64,
    /// Further answers to probes answered already.
    pub duplicates: u64,
    /// Answers with a wrong checksum or a changed payload.
    pub corrupt: u64,
    /// ICMP errors about our probes.
    pub errors: u64,
    /// Answers that came after the time to wait had passed.
    pub late: u64,
    /// Answers that came before that of an earlier probe.
    pub reordered: u64,
    /// Round trips in order of arrival, duplicates included, as ping counts them.
    pub round_trips: Vec<Duration>,
    /// Time from the first probe to the last thing that happened.
    pub elapsed: Duration,
    /// RFC 3550 interarrival jitter, in seconds.
    jitter: f64,
}

/// Minimum, mean, maximum, population standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Shortest round trip.
    pub min: Duration,
    /// Mean.
    pub avg: Duration,
    /// Longest.
    pub max: Duration,
    /// Population standard deviation over all round trips.
    pub mdev: Duration,
}

impl Stats {
    pub(crate) fn round_trip(&mut self, rtt: Duration) {
        if let Some(last) = self.round_trips.last() {
            let step = (rtt.as_secs_f64() - last.as_secs_f64()).abs();
            self.jitter += (step - self.jitter) / 16.0;
        }
        self.round_trips.push(rtt);
    }

    /// Lost probes in percent of those sent.
    #[must_use]
    pub fn loss_percent(&self) -> f64 {
        if self.sent == 0 {
            return 0.0;
        }
        let lost = self.sent.saturating_sub(self.received);
        lost as f64 * 100.0 / self.sent as f64
    }

    /// None where nothing came back.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        let (min, max) = (self.round_trips.iter().min()?, self.round_trips.iter().max()?);
        let n = self.round_trips.len() as f64;
        let seconds = || self.round_trips.iter().map(Duration::as_secs_f64);
        let avg = seconds().sum::<f64>() / n;
        let variance = seconds().map(|s| (s - avg) * (s - avg)).sum::<f64>() / n;
        Some(Summary {
            min: *min,
            avg: Duration::from_secs_f64(avg),
            max: *max,
            mdev: Duration::from_secs_f64(variance.max(0.0).sqrt()),
        })
    }

    /// The round trip that `percent` of all do not exceed (nearest rank).
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let mut sorted = self.round_trips.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }

    /// Interarrival jitter (RFC 3550 6.4.1).
    #[must_use]
    pub fn jitter(&self) -> Duration {
        Duration::from_secs_f64(self.jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Stats};

    #[test]
    fn figures_of_three_round_trips() {
        let mut stats = Stats { sent: 4, received: 3, ..Stats::default() };
        for ms in [1, 2, 3] {
            stats.round_trip(Duration::from_millis(ms));
        }
        let s = stats.summary().unwrap();
        assert_eq!((s.min, s.max), (Duration::from_millis(1), Duration::from_millis(3)));
        assert_eq!(s.avg, Duration::from_millis(2));
        assert_eq!(s.mdev.as_micros(), 816, "population, not sample");
        assert!((stats.loss_percent() - 25.0).abs() < 1e-9);
        assert_eq!(stats.percentile(50), Some(Duration::from_millis(2)));
        assert_eq!(stats.percentile(99), Some(Duration::from_millis(3)));
        assert_eq!(Stats::default().percentile(50), None);
    }
}
