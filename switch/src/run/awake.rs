//! While frames flow, idle cores are kept from halting: waking a halted one costs more than all
//! else that is done for a frame, and who waits for a frame is woken for each.
//!
//! Fed by the worker. The request goes to the kernel once when frames begin to flow and once when
//! they have ceased, so that a lonely ping asks for nothing and an idle lab lets its cores sleep.
//! Where the kernel does not let us ask (an ordinary user), nothing else changes.

use std::time::Duration;

use sys::latency::CpuLatency;
use wire::Timestamp;

/// Frames that lie no further apart than this flow.
const LINGER: Duration = Duration::from_millis(100);
/// So many batches in a row make a flow.
const FLOW: u32 = 16;

/// What a worker has seen of the flow, and the request.
#[derive(Debug, Default)]
pub(super) struct Awake {
    request: Option<CpuLatency>,
    flow: Flow,
}

impl Awake {
    pub(super) fn new(request: Option<CpuLatency>) -> Self {
        Self { request, flow: Flow::default() }
    }

    /// A batch was taken and sent.
    pub(super) fn batch(&mut self, now: Timestamp) {
        if self.flow.batch(now) {
            self.ask(true);
        }
    }

    /// So many frames have gone by without the worker, since it looked last.
    pub(super) fn gone_by(&mut self, frames: u64, now: Timestamp) {
        (0..frames.min(FLOW.into())).for_each(|_| self.batch(now));
    }

    /// The worker is about to sleep: until when, at most?
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.request.as_ref().and_then(|_| self.flow.until())
    }

    /// The worker has slept.
    pub(super) fn slept(&mut self, now: Timestamp) {
        if self.flow.slept(now) {
            self.ask(false);
        }
    }

    fn ask(&mut self, at_once: bool) {
        // Refused once, it is not asked again.
        if self.request.as_ref().is_some_and(|request| request.ask(at_once).is_err()) {
            self.request = None;
        }
    }
}

/// Whether frames flow.
#[derive(Debug, Default)]
struct Flow {
    last: Timestamp,
    batches: u32,
}

impl Flow {
    /// True where they begin to flow with this one.
    fn batch(&mut self, now: Timestamp) -> bool {
        let flows = self.batches >= FLOW;
        if !flows && now.since(self.last) > LINGER {
            self.batches = 0;
        }
        self.last = now;
        if !flows {
            self.batches += 1;
        }
        !flows && self.batches >= FLOW
    }

    /// When they will have ceased, if none comes any more.
    fn until(&self) -> Option<Timestamp> {
        (self.batches >= FLOW).then(|| self.last + LINGER)
    }

    /// True where they have ceased.
    fn slept(&mut self, now: Timestamp) -> bool {
        let ceased = self.until().is_some_and(|until| now >= until);
        if ceased {
            self.batches = 0;
        }
        ceased
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn frames_flow_from_the_sixteenth_batch_until_a_tenth_of_a_second_after_the_last() {
        let mut flow = Flow::default();
        let begun: Vec<u64> = (1..100).filter(|n| flow.batch(at(1000 + n * 10))).collect();
        assert_eq!(begun, [u64::from(FLOW)], "once, not with each");
        assert_eq!(flow.until(), Some(at(1990 + 100)));
        assert!(!flow.slept(at(2089)), "not yet");
        assert!(flow.slept(at(2090)));
        assert!(!flow.slept(at(2091)), "once");
        assert_eq!(flow.until(), None);
    }

    #[test]
    fn what_comes_seldom_does_not_flow() {
        let mut flow = Flow::default();
        for second in 1..200 {
            assert!(!flow.batch(at(second * 1000)) && !flow.batch(at(second * 1000 + 1)));
            assert!(!flow.slept(at(second * 1000 + 500)));
        }
    }

    #[test]
    fn without_a_request_nobody_is_woken_for_it() {
        let mut awake = Awake::new(None);
        (0..100).for_each(|n| awake.batch(at(n)));
        assert_eq!(awake.until(), None);
    }
}
