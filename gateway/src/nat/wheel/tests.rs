use std::time::Duration;

use proptest::prelude::*;

use super::super::session::Session;
use super::*;

fn at(seconds: f64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs_f64(seconds)
}

fn session(expires: Timestamp) -> Session {
    Session { expires, state: State::Active, ..Session::default() }
}

fn slots(sessions: impl IntoIterator<Item = Session>) -> Slots {
    let mut slots = Slots::new(0);
    for session in sessions {
        slots.take(session).unwrap();
    }
    slots
}

fn drain(wheel: &mut Wheel, slots: &mut Slots, now: Timestamp) -> Vec<u32> {
    let mut out = Vec::new();
    let mut budget = u32::MAX;
    while let Some(id) = wheel.expired(slots, now, &mut budget) {
        wheel.unlink(slots, id);
        out.push(id);
    }
    out.sort_unstable();
    out
}

#[test]
fn a_lifetime_longer_than_the_wheel_is_kept() {
    let mut slots = slots([session(at(100_000.0)), session(at(1.5))]);
    let mut wheel = Wheel::new();
    wheel.link(&mut slots, 0, at(0.0));
    wheel.link(&mut slots, 1, at(0.0));
    assert_eq!(wheel.next(), Some(at(2.0)));
    assert_eq!(drain(&mut wheel, &mut slots, at(1.9)), []);
    assert_eq!(drain(&mut wheel, &mut slots, at(2.0)), [1]);
    for t in 3..100_000 {
        assert_eq!(drain(&mut wheel, &mut slots, at(f64::from(t))), []);
    }
    assert_eq!(drain(&mut wheel, &mut slots, at(100_000.0)), [0]);
    assert_eq!(wheel.next(), None);
}

#[test]
fn the_budget_bounds_one_call_and_nothing_is_lost() {
    let mut slots = slots([session(at(5.0)); 100]);
    let mut wheel = Wheel::new();
    for id in 0..100 {
        wheel.link(&mut slots, id, at(0.0));
    }
    let mut ended = 0;
    for _ in 0..10 {
        let mut budget = 10;
        while let Some(id) = wheel.expired(&mut slots, at(50.0), &mut budget) {
            wheel.unlink(&mut slots, id);
            ended += 1;
        }
    }
    assert_eq!(ended, 100);
}

proptest! {
    /// Whatever is linked, moved and swept: nothing ends early, nothing ends over a second late.
    #[test]
    fn nothing_ends_early_or_late(
        ops in proptest::collection::vec((0u32..20, 0u32..12_000_000, 0u32..3_000_000), 1..200),
    ) {
        let mut slots = slots([Session::default(); 20]);
        let mut wheel = Wheel::new();
        let mut now = at(77.0);
        for (id, life, step) in ops {
            let slot = id as usize;
            let expires = now + Duration::from_millis(u64::from(life));
            if slots.sessions[slot].state == State::Free {
                slots.sessions[slot] = session(expires);
                wheel.link(&mut slots, id, now);
            } else {
                slots.sessions[slot].expires = expires;
                wheel.moved(&mut slots, id);
            }
            now = now + Duration::from_millis(u64::from(step));
            for ended in drain(&mut wheel, &mut slots, now) {
                prop_assert!(slots.sessions[ended as usize].expires <= now);
                slots.sessions[ended as usize].state = State::Free;
            }
            for s in slots.sessions.iter().filter(|s| s.state != State::Free) {
                prop_assert!(s.expires + Duration::from_secs(1) > now);
            }
        }
    }
}
