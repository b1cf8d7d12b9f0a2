//! The kernel's stamps, which are wall clock, as moments of the monotonic clock.
//!
//! A stamp is converted by the distance of the two clocks, looked at anew for each stamp. Where
//! that distance has jumped since the last look, the wall clock was stepped: nothing stamped
//! before is believed until the socket has been seen empty, and the monotonic clock's reading at
//! the time of receipt stands in. So a step changes no round trip; it costs a few stamps, not their
//! truth. Pure: the looks come in as arguments.

use sys::clock::Both;
use wire::Timestamp;

/// Two looks differ by no more than this because of how they are taken.
const BLUR: u64 = 100_000;
/// A wall clock that is slewed runs at most this much fast or slow (adjtimex: 500 ppm).
const SLEW_PPM: u64 = 600;

/// The distance of the two clocks, as last seen.
#[derive(Debug)]
pub struct Clocks {
    last: Both,
    settled: bool,
}

impl Clocks {
    /// As the clocks are now.
    #[must_use]
    pub fn new(now: Both) -> Self {
        Self { last: now, settled: true }
    }

    /// When a packet stamped `stamp` came or went; None where the stamp cannot be believed: the
    /// wall clock was stepped meanwhile, or says a time not between `earliest` and `now`.
    pub fn moment(&mut self, stamp: u64, earliest: Timestamp, now: Both) -> Option<Timestamp> {
        self.look(now);
        if !self.settled {
            return None;
        }
        let age = now.wall.checked_sub(stamp)?;
        let at = now.monotonic.checked_sub(age)?;
        (at >= earliest.as_nanos()).then(|| Timestamp::from_nanos(at))
    }

    /// The socket is empty: what is stamped from now on is stamped by the clock as it is.
    pub fn empty(&mut self, now: Both) {
        self.settled = true;
        self.look(now);
    }

    fn look(&mut self, now: Both) {
        let passed = now.monotonic.saturating_sub(self.last.monotonic);
        let by_wall = i128::from(now.wall) - i128::from(self.last.wall);
        let off = (by_wall - i128::from(passed)).unsigned_abs();
        let allowed = u128::from(BLUR) + u128::from(passed) * u128::from(SLEW_PPM) / 1_000_000;
        self.settled &= off <= allowed;
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BLUR, Both, Clocks, Timestamp};

    const BOOT: u64 = 5_000_000_000;
    const EPOCH: u64 = 1_700_000_000_000_000_000;

    fn both(monotonic: u64, step: i64) -> Both {
        let wall = (EPOCH + monotonic).checked_add_signed(step).unwrap();
        Both { monotonic: BOOT + monotonic, wall }
    }

    #[test]
    fn a_stamp_is_the_moment_it_was_made() {
        let mut clocks = Clocks::new(both(0, 0));
        let at = clocks.moment(EPOCH + 400, Timestamp::from_nanos(BOOT), both(1000, 0));
        assert_eq!(at, Some(Timestamp::from_nanos(BOOT + 400)));
    }

    #[test]
    fn what_lies_outside_is_not_believed() {
        let mut clocks = Clocks::new(both(0, 0));
        let sent = Timestamp::from_nanos(BOOT + 500);
        assert_eq!(clocks.moment(EPOCH + 400, sent, both(1000, 0)), None, "before it was sent");
        assert_eq!(clocks.moment(EPOCH + 1400, sent, both(1000, 0)), None, "in the future");
        assert_eq!(clocks.moment(0, sent, both(1000, 0)), None, "no stamp at all");
    }

    #[test]
    fn a_slewed_clock_is_believed() {
        let mut clocks = Clocks::new(both(0, 0));
        let second = 1_000_000_000;
        for n in 1..100u64 {
            let drift = i64::try_from(n * 500_000).unwrap();
            let stamp = both(n * second, drift).wall;
            assert!(clocks.moment(stamp, Timestamp::ZERO, both(n * second, drift)).is_some());
        }
    }

    proptest! {
        // Packets arrive, and are read a little later; the wall clock is stepped at any moments.
        // What the conversion gives is the truth (up to the blur), or nothing.
        #[test]
        fn a_step_changes_no_moment(
            steps in prop::collection::vec((0u64..2_000, -3_000_000_000i64..3_000_000_000), 0..4),
            reads in prop::collection::vec((1u64..200, prop::collection::vec(1u64..50, 1..4)), 1..40),
        ) {
            // The wall clock's offset at a moment given in microseconds.
            let offset = |at: u64| {
                steps.iter().filter(|(when, _)| *when <= at).map(|(_, by)| by).sum::<i64>()
            };
            let look = |at: u64| both(at * 1000, offset(at));
            let mut clocks = Clocks::new(look(0));
            let mut now = 0;
            for (pause, arrivals) in reads {
                let from = now;
                now += pause;
                let mut arrived: Vec<u64> =
                    arrivals.iter().map(|at| from + at % pause).collect();
                arrived.sort_unstable();
                for at in arrived {
                    let got = clocks.moment(look(at).wall, Timestamp::ZERO, look(now));
                    now += 1;
                    if let Some(got) = got {
                        let off = got.as_nanos().abs_diff(BOOT + at * 1000);
                        prop_assert!(off <= BLUR + 1000, "off by {off} ns");
                    }
                }
                clocks.empty(look(now));
            }
        }
    }
}
