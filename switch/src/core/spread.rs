//! Whether one worker takes all frames, or each those that arise on its cores.
//!
//! One worker that has a core for itself forwards while sender and receiver work on the others: the
//! shorter way for a few flows. Where all cores have enough to do anyway, to wake somebody on
//! another core for each frame costs more than it gains, and each core's own worker forwards more.
//! Which of the two it is cannot be told from outside (runnable threads, waiting times and batches
//! look alike), so both are tried, and what forwards more stays. That is only done under load that
//! could gain: the worker never sleeps, frames wait for it, and they come from both sides of
//! something.
//!
//! Fed by the first worker, a [`Window`] of a few hundredths of a second at a time; it knows no
//! clock of its own.

use std::time::Duration;

use wire::Timestamp;

/// How long a window is.
const WINDOW: Duration = Duration::from_millis(30);
/// After a change things settle; what is forwarded meanwhile says nothing.
const SETTLE: Duration = Duration::from_millis(15);
/// Spread has to forward so much more to be kept: less would be noise.
const GAIN: f64 = 1.1;
/// What forwards so much less is given up at once.
const LOSS: f64 = 0.8;
/// So many windows it may take to do so: until threads have found their cores.
const TRIES: u8 = 3;
/// What sends less or more than so much of what it sent is another load: it is questioned at once.
const OTHER: [f64; 2] = [0.6, 1.6];
/// A spread holds so long until it is questioned, at first and at most.
const HOLD: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// After a vain try the next one waits so long, at first and at most.
const PAUSE: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(16)];

/// What was seen in a window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// How long it was.
    pub wall: Duration,
    /// How much of it the first worker was awake.
    pub awake: Duration,
    /// Frames the first worker took.
    pub frames: u32,
    /// Batches it took them in.
    pub batches: u32,
    /// Of them, those of the side with fewer: one port, and all others.
    pub fewer: u32,
    /// What all workers have sent: bytes, and a frame counts for some of them.
    pub sent: u64,
}

impl Window {
    fn rate(&self) -> f64 {
        self.sent as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    /// Whether this is another load than one of which so much was sent.
    fn differs(&self, rate: f64) -> bool {
        !(rate * OTHER[0]..rate * OTHER[1]).contains(&self.rate())
    }

    /// Whether spreading could forward more.
    fn is_crowded(&self) -> bool {
        let busy = self.awake >= self.wall / 10 * 9;
        let waiting = u64::from(self.frames) * 2 >= u64::from(self.batches) * 3;
        busy && waiting && u64::from(self.fewer) * 10 >= u64::from(self.frames) && self.frames > 0
    }
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The first worker takes all.
    Gathered,
    /// Spread for some windows, to see; before, so much was sent.
    Trying { gathered: f64, left: u8 },
    /// Spread, until questioned; so much was sent.
    Spread { until: Timestamp, hold: Duration, rate: f64 },
    /// Gathered for a window, to see whether it should still be; spread, so much was sent.
    Asking { spread: f64, hold: Duration },
}

/// Decides.
#[derive(Debug)]
pub struct Policy {
    phase: Phase,
    settling: bool,
    due: Timestamp,
    pause: Duration,
    retry: Timestamp,
    /// Since when the first worker takes all, for good as far as is known.
    gathered: Timestamp,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            phase: Phase::Gathered,
            settling: false,
            due: Timestamp::ZERO,
            pause: PAUSE[0],
            retry: Timestamp::ZERO,
            gathered: Timestamp::ZERO,
        }
    }
}

impl Policy {
    /// When the window ends.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        self.due
    }

    /// Since when the first worker takes all and is not asked about it; None while spread, or while
    /// that is being tried.
    #[must_use]
    pub fn gathered(&self) -> Option<Timestamp> {
        (self.phase == Phase::Gathered).then_some(self.gathered)
    }

    /// A window has ended: are frames to be spread from now on?
    pub fn look(&mut self, seen: &Window, now: Timestamp) -> bool {
        let before = self.spreads();
        if self.settling {
            self.settling = false;
        } else {
            self.phase = self.next(seen, now);
        }
        self.settling |= before != self.spreads();
        self.due = now + if self.settling { SETTLE } else { WINDOW };
        self.spreads()
    }

    fn spreads(&self) -> bool {
        matches!(self.phase, Phase::Trying { .. } | Phase::Spread { .. })
    }

    fn next(&mut self, seen: &Window, now: Timestamp) -> Phase {
        match self.phase {
            Phase::Gathered if seen.is_crowded() && self.retry <= now => {
                Phase::Trying { gathered: seen.rate(), left: TRIES }
            }
            Phase::Gathered => Phase::Gathered,
            Phase::Trying { gathered, .. } if seen.rate() > gathered * GAIN => {
                self.hold(HOLD[0], seen.rate(), now)
            }
            Phase::Trying { gathered, left: left @ 2.. } if seen.rate() > gathered * LOSS => {
                Phase::Trying { gathered, left: left - 1 }
            }
            Phase::Trying { .. } => {
                self.retry = now + self.pause;
                self.pause = (self.pause * 2).min(PAUSE[1]);
                self.gather(now)
            }
            Phase::Spread { until, hold, rate } if until <= now || seen.differs(rate) => {
                Phase::Asking { spread: seen.rate(), hold }
            }
            Phase::Spread { .. } => self.phase,
            Phase::Asking { spread, hold } if seen.is_crowded() && spread > seen.rate() * GAIN => {
                self.hold((hold * 2).min(HOLD[1]), spread, now)
            }
            Phase::Asking { .. } => {
                self.retry = now + PAUSE[0];
                self.gather(now)
            }
        }
    }

    fn hold(&mut self, hold: Duration, rate: f64, now: Timestamp) -> Phase {
        self.pause = PAUSE[0];
        Phase::Spread { until: now + hold, hold, rate }
    }

    fn gather(&mut self, now: Timestamp) -> Phase {
        self.gathered = now;
        Phase::Gathered
    }
}

#[cfg(test)]
#[path = "spread_tests.rs"]
mod tests;
