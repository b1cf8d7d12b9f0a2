//! The policy under loads that answer to it.

#![allow(clippy::cast_possible_truncation)] // shares of small numbers

use super::*;

/// A load: what is sent in a second gathered and spread, frames a batch, share of the fewer side.
#[derive(Clone, Copy)]
struct Load {
    gathered: f64,
    spread: f64,
    batch: u32,
    fewer: f64,
    awake: f64,
}

const CROWD: Load = Load { gathered: 1e6, spread: 1.4e6, batch: 4, fewer: 0.4, awake: 1.0 };

/// Runs it for so long; the shares of the time in which frames were spread, in quarters.
fn run(policy: &mut Policy, load: Load, from: Timestamp, time: Duration) -> [f64; 4] {
    let (mut now, mut spread) = (from, false);
    let mut shares = [0.0; 4];
    while now < from + time {
        let wall = policy.due().since(now).max(Duration::from_millis(1));
        let quarter = (now.since(from).as_secs_f64() / time.as_secs_f64() * 4.0) as usize;
        shares[quarter.min(3)] += wall.as_secs_f64() * f64::from(u8::from(spread));
        now = now + wall;
        let frames = 10_000u32;
        let rate = if spread { load.spread } else { load.gathered };
        let seen = Window {
            wall,
            awake: wall.mul_f64(load.awake),
            frames,
            batches: frames / load.batch,
            fewer: (f64::from(frames) * load.fewer) as u32,
            sent: (rate * wall.as_secs_f64()) as u64,
        };
        spread = policy.look(&seen, now);
    }
    shares.map(|share| share / time.as_secs_f64() * 4.0)
}

fn start() -> Timestamp {
    Timestamp::from_nanos(1_000_000_000)
}

#[test]
fn what_forwards_more_stays() {
    let mut policy = Policy::default();
    let shares = run(&mut policy, CROWD, start(), Duration::from_secs(20));
    assert!(shares[0] > 0.9 && shares[3] > 0.97, "{shares:?}");
    assert_eq!(policy.gathered(), None);
}

#[test]
fn what_forwards_less_is_tried_ever_more_seldom() {
    for (spread, first) in [(0.6e6, 0.03), (1.05e6, 0.08)] {
        let load = Load { spread, ..CROWD };
        let shares = run(&mut Policy::default(), load, start(), Duration::from_secs(40));
        assert!(shares[0] > 0.0 && shares[0] < first, "{shares:?}");
        assert!(shares[2] + shares[3] > 0.0 && shares[3] < 0.02, "{shares:?}");
    }
}

#[test]
fn without_a_crowd_nothing_is_tried() {
    let loads =
        [Load { batch: 1, ..CROWD }, Load { fewer: 0.05, ..CROWD }, Load { awake: 0.8, ..CROWD }];
    for load in loads {
        let mut policy = Policy::default();
        let shares = run(&mut policy, load, start(), Duration::from_secs(10));
        assert_eq!(shares, [0.0; 4]);
        assert_eq!(policy.gathered(), Some(Timestamp::ZERO));
    }
}

#[test]
fn when_the_crowd_has_gone_frames_are_gathered_again() {
    let mut policy = Policy::default();
    run(&mut policy, CROWD, start(), Duration::from_secs(10));
    let later = start() + Duration::from_secs(10);
    let quiet = Load { gathered: 1e3, spread: 1e3, awake: 0.01, ..CROWD };
    run(&mut policy, quiet, later, Duration::from_secs(3));
    assert!(policy.gathered().is_some_and(|since| since > later));
    // And the next crowd is served at once.
    let again = later + Duration::from_secs(3);
    let shares = run(&mut policy, CROWD, again, Duration::from_secs(4));
    assert!(shares[0] > 0.85, "{shares:?}");
}

#[test]
fn a_load_that_changes_its_mind_is_followed() {
    let mut policy = Policy::default();
    run(&mut policy, CROWD, start(), Duration::from_secs(10));
    let later = start() + Duration::from_secs(10);
    let few = Load { gathered: 2e6, spread: 1.4e6, ..CROWD };
    let shares = run(&mut policy, few, later, Duration::from_secs(16));
    assert!(shares[3] < 0.05, "{shares:?}");
}

#[test]
fn another_load_is_not_spread_for_longer_than_it_takes_to_ask() {
    let mut policy = Policy::default();
    run(&mut policy, CROWD, start(), Duration::from_secs(10));
    let later = start() + Duration::from_secs(10);
    let small = Load { gathered: 2e5, spread: 1e5, batch: 1, ..CROWD };
    let shares = run(&mut policy, small, later, Duration::from_secs(1));
    assert!(shares[0] < 0.3 && shares[1..] == [0.0; 3], "{shares:?}");
}

#[test]
fn a_window_with_nothing_in_it_is_no_crowd() {
    let mut policy = Policy::default();
    assert!(!policy.look(&Window::default(), start()));
    let empty = Window { wall: WINDOW, awake: WINDOW, ..Window::default() };
    assert!(!policy.look(&empty, start() + WINDOW));
}
