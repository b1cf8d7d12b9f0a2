//! The monotonic clock, as nanoseconds, and the wall clock beside it. Called by run loops only:
//! decisions are given the time.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC` since boot; 0 where the kernel refuses to tell, which Linux
/// never does for this clock.
#[must_use]
pub fn now() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Both clocks of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Both {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub monotonic: u64,
    /// Nanoseconds of `CLOCK_REALTIME`, by which the kernel stamps packets.
    pub wall: u64,
}

/// How far apart two looks at the monotonic clock may be that have a look at the wall clock
/// between them; where the thread was interrupted there, they are taken again.
const TOGETHER: u64 = 2_000;

/// Reads both clocks as if at once; of several looks that were all interrupted, as the shortest had it.
#[must_use]
pub fn both() -> Both {
    let mut before = now();
    let mut best = (u64::MAX, Both { monotonic: before, wall: 0 });
    for _ in 0..8 {
        let wall = read(ClockId::CLOCK_REALTIME);
        let after = now();
        let apart = after - before;
        if apart < best.0 {
            best = (apart, Both { monotonic: before.midpoint(after), wall });
        }
        if apart <= TOGETHER {
            break;
        }
        before = after;
    }
    best.1
}

fn read(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |t| {
        let seconds = u64::try_from(t.tv_sec()).unwrap_or(0);
        let nanos = u64::try_from(t.tv_nsec()).unwrap_or(0);
        seconds * 1_000_000_000 + nanos
    })
}
