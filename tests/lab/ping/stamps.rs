//! The kernel stamps what arrives: a pinger that is kept from running measures the wire all the
//! same.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::answerer::Answerer;
use super::{THERE, joined_to_silence, replies, start};
use crate::support::rooted;

#[test]
fn a_pinger_that_is_stopped_measures_the_wire() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        let peer = Answerer::start(|r| vec![r.answer().after(300)]);
        let pinger = start(sandbox, &["--json", "-c", "1", THERE]);
        let limit = Instant::now() + Duration::from_secs(30);
        while peer.seen().is_empty() {
            assert!(Instant::now() < limit, "nothing was sent");
            std::thread::sleep(Duration::from_millis(1));
        }
        // The answer comes while it stands still. (Should this thread be so late that the answer
        // was first, then there is nothing to see, and nothing wrong.)
        pinger.signal(Signal::SIGSTOP);
        std::thread::sleep(Duration::from_secs(2));
        pinger.signal(Signal::SIGCONT);
        let rtt = replies(&pinger.ended().ok().out)[0]["rtt_us"].as_f64().unwrap();
        assert!((300_000.0..1_900_000.0).contains(&rtt), "{rtt} µs");
    });
}
