//! Frames that are spread over workers and gathered again arrive once each and in order.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use rig::frames::{mac, number, plain};
use rig::{Node, on_a_rig, skip};
use uswitch_switch::{Config, Switch};

/// Frames of a direction on their way at once: less than any ring holds.
const WINDOW: u32 = 128;
const BURST: u32 = 16;
const TURNS: u64 = 3;
const LIMIT: Duration = Duration::from_secs(60);

/// Sends to the other node and receives from it, both without a pause, until frames have been
/// spread some times. Then it receives until the other has heard all as well: who has sent its last
/// is still sent to.
fn talk(
    node: &mut Node,
    own: u8,
    [mine, theirs]: [&AtomicU32; 2],
    talking: &AtomicU32,
    switch: &Switch,
) {
    let (begun, mut sent) = (Instant::now(), 0);
    let enough = || switch.spreads().is_none_or(|n| n >= TURNS) || begun.elapsed() > LIMIT;
    let (mut over, mut done) = (false, false);
    loop {
        over |= enough();
        if !over && sent + BURST <= theirs.load(SeqCst) + WINDOW {
            (0..BURST).for_each(|n| node.queue(&plain(own, mac(3 - own), sent + n, 60)));
            assert_eq!(node.flush(), 0);
            sent += BURST;
        }
        while let Some(got) = node.receive_within(Duration::ZERO) {
            let expected = mine.load(SeqCst);
            assert_eq!(number(&got.bytes), expected, "at node {own}, in order and once");
            mine.store(expected + 1, SeqCst);
        }
        if over && !done && theirs.load(SeqCst) == sent {
            talking.fetch_sub(1, SeqCst);
            done = true;
        }
        if talking.load(SeqCst) == 0 {
            return;
        }
        assert!(begun.elapsed() < LIMIT * 2, "node {own}: {sent} sent, not all came");
    }
}

#[test]
fn frames_that_are_spread_and_gathered_arrive_in_order_and_once() {
    on_a_rig(2, |rig| {
        let switch = &rig.switch(Config { spread: true, ..Config::default() }, None);
        if switch.spreads().is_none() {
            return skip::beyond("nothing to spread over: one core, or no BPF");
        }
        let heard = [AtomicU32::new(0), AtomicU32::new(0)];
        let talking = &AtomicU32::new(2);
        let [first, second] = &mut rig.nodes[..] else { panic!("two nodes") };
        std::thread::scope(|scope| {
            scope.spawn(|| talk(first, 1, [&heard[0], &heard[1]], talking, switch));
            scope.spawn(|| talk(second, 2, [&heard[1], &heard[0]], talking, switch));
        });
        assert!(switch.spreads() >= Some(TURNS), "{:?} times spread in time", switch.spreads());
        assert!(heard.iter().all(|n| n.load(SeqCst) > 1000), "{heard:?}");
        let counters = switch.counters();
        assert_eq!(counters.ring_drops, 0, "{counters:?}");
    });
}
