//! What a run of probes comes to: losses, duplicates, round trips. Filled by the session, read by
//! whoever tells it.
//!
//! Minimum, mean, maximum and deviation are over all round trips, exact in nanoseconds. Percentiles
//! are over the newest [`REMEMBERED`]; kinds of errors beyond [`KINDS`] are counted together.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

mod outage;
#[cfg(test)]
mod tests;

pub use outage::{Gap, Outage};

/// Round trips kept for the percentiles.
pub const REMEMBERED: usize = 65_536;
/// Kinds of errors told apart.
pub const KINDS: usize = 64;

/// Counters and round trips of one run.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Probes sent.
    pub sent: u64,
    /// Probes answered, each once.
    pub received: u64,
    /// Further answers to probes answered already.
    pub duplicates: u64,
    /// Answers with a wrong checksum.
    pub corrupt: u64,
    /// Answers whose payload differs from what was sent.
    pub changed: u64,
    /// Answers shorter than what was sent.
    pub truncated: u64,
    /// Answers from another address than the one that was asked.
    pub elsewhere: u64,
    /// Answers with another time to live than the one before.
    pub ttl_changes: u64,
    /// Answers that came after the time to wait had passed.
    pub late: u64,
    /// Answers that came after that to a later probe.
    pub reordered: u64,
    /// ICMP errors about our probes, and probes too long to leave.
    pub errors: u64,
    /// The ICMP errors by kind.
    pub kinds: Vec<Kind>,
    /// ICMP errors of further kinds.
    pub other_kinds: u64,
    /// The newest round trips in order of arrival, duplicates included, as ping counts them.
    pub round_trips: VecDeque<Duration>,
    /// From the first probe to the last.
    pub elapsed: Duration,
    /// Most probes on their way at once, as ping counts them.
    pub pipe: u64,
    /// The longest time without an answer.
    pub outage: Outage,
    /// Eight times the smoothed round trip, in microseconds.
    pub(crate) smoothed: u64,
    count: u64,
    sum: u128,
    squares: u128,
    min: Option<Duration>,
    max: Duration,
    /// RFC 3550 interarrival jitter, in seconds.
    jitter: f64,
}

/// ICMP errors of one kind from one sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// The router that sent them.
    pub from: Ipv4Addr,
    /// How many.
    pub count: u64,
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
        if let Some(last) = self.round_trips.back() {
            let step = (rtt.as_secs_f64() - last.as_secs_f64()).abs();
            self.jitter += (step - self.jitter) / 16.0;
        }
        if self.round_trips.len() == REMEMBERED {
            self.round_trips.pop_front();
        }
        self.round_trips.push_back(rtt);
        let nanos = rtt.as_nanos();
        self.count += 1;
        self.sum = self.sum.saturating_add(nanos);
        self.squares = self.squares.saturating_add(nanos.saturating_mul(nanos));
        self.min = Some(self.min.map_or(rtt, |min| min.min(rtt)));
        self.max = self.max.max(rtt);
        let micros = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX >> 4);
        self.smoothed = match self.smoothed {
            0 => micros.saturating_mul(8),
            so_far => (so_far - so_far / 8).saturating_add(micros),
        };
    }

    pub(crate) fn error(&mut self, kind: u8, code: u8, from: Ipv4Addr) {
        let same = |one: &&mut Kind| (one.kind, one.code, one.from) == (kind, code, from);
        if let Some(known) = self.kinds.iter_mut().find(same) {
            known.count += 1;
        } else if self.kinds.len() < KINDS {
            self.kinds.push(Kind { kind, code, from, count: 1 });
        } else {
            self.other_kinds += 1;
        }
    }

    /// Probes without an answer.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// Lost probes in percent of those sent.
    #[must_use]
    pub fn loss_percent(&self) -> f64 {
        if self.sent == 0 {
            return 0.0;
        }
        self.lost() as f64 * 100.0 / self.sent as f64
    }

    /// How many round trips the summary is over: answers and duplicates.
    #[must_use]
    pub fn measured(&self) -> u64 {
        self.count
    }

    /// None where nothing came back.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        let n = u128::from(self.count);
        let avg = self.sum.checked_div(n)?;
        // Var = (n·Σx² − (Σx)²) / n², in whole numbers; where that is too large for them, in
        // floating point.
        let exact = (n.checked_mul(self.squares))
            .zip(self.sum.checked_mul(self.sum))
            .map(|(all, square)| all.saturating_sub(square).isqrt() / n);
        let mdev = exact.unwrap_or_else(|| {
            let (n, mean) = (n as f64, avg as f64);
            whole((self.squares as f64 / n - mean * mean).max(0.0).sqrt())
        });
        let span = |nanos: u128| Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Some(Summary { min: self.min?, avg: span(avg), max: self.max, mdev: span(mdev) })
    }

    /// The longest round trip.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        self.min.map(|_| self.max)
    }

    /// The round trip that `percent` of the newest do not exceed (nearest rank).
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let mut all: Vec<Duration> = self.round_trips.iter().copied().collect();
        let rank = (all.len() * percent).div_ceil(100).max(1);
        if rank > all.len() {
            return None;
        }
        Some(*all.select_nth_unstable(rank - 1).1)
    }

    /// Interarrival jitter (RFC 3550 6.4.1).
    #[must_use]
    pub fn jitter(&self) -> Duration {
        Duration::from_secs_f64(self.jitter)
    }

    /// Smoothed round trip: each new one counts an eighth.
    #[must_use]
    pub fn ewma(&self) -> Duration {
        Duration::from_micros(self.smoothed / 8)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a finite number of nanoseconds that is not negative"
)]
fn whole(nanos: f64) -> u128 {
    nanos as u128
}
