//! What a run of probes is asked to do.

use std::time::Duration;

/// How long ping waits where nothing ever came back.
pub const SILENCE: Duration = Duration::from_secs(10);

/// What to send, how often, for how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// Answers wanted, and probes to send where there is no deadline; None goes on until stopped.
    pub count: Option<u64>,
    /// From one probe to the next. None at all: as fast as answers come back, a hundred a second
    /// where none does.
    pub interval: Duration,
    /// How long answers are waited for.
    pub patience: Patience,
    /// The whole run ends then, or at the first ICMP error; more than `count` may be sent
    /// meanwhile.
    pub deadline: Option<Duration>,
    /// Bytes of payload.
    pub size: usize,
    /// What the payload repeats; empty counts up.
    pub pattern: Vec<u8>,
    /// The interval follows the round trips: about one probe on its way.
    pub adaptive: bool,
    /// An adaptive interval goes no lower.
    pub slowest_allowed: Duration,
    /// Probes that may leave before an answer has come.
    pub preload: u32,
    /// Tell of each probe that is unanswered when the next one is due.
    pub outstanding: bool,
    /// Dots and backspaces for lines, and `interval` zero.
    pub flood: bool,
    /// A round trip begins when the probe is handed to the kernel, with the sender's stack in it,
    /// and not when the driver takes it.
    pub whole: bool,
}

/// How long answers are waited for once all probes have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As ping does: this long where nothing came back yet, else twice the longest round trip and
    /// no less than the interval.
    Ping(Duration),
    /// This long for each.
    Each(Duration),
}

impl Patience {
    /// An answer that took longer is late.
    pub(crate) fn limit(self) -> Duration {
        let (Self::Ping(limit) | Self::Each(limit)) = self;
        limit
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            count: None,
            interval: Duration::from_secs(1),
            patience: Patience::Ping(SILENCE),
            deadline: None,
            size: 56,
            pattern: Vec::new(),
            adaptive: false,
            slowest_allowed: Duration::ZERO,
            preload: 1,
            outstanding: false,
            flood: false,
            whole: false,
        }
    }
}
