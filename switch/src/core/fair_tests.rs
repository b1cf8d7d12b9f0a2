//! A worker on its ring in virtual time: ports that send at even rates, so much time for a frame
//! that is sent on, so much for one that is dropped.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const SLOTS: usize = 4096;
const BATCH: usize = 64;
/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// What a port sent and what became of it.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    offered: u64,
    passed: u64,
    /// Dropped early.
    shed: u64,
    /// Found the ring full.
    lost: u64,
}

struct Machine {
    fair: Option<Fair>,
    /// Nanoseconds for a frame sent on, and for one dropped.
    cost: [u64; 2],
    ring: VecDeque<usize>,
    idle: u64,
}

impl Machine {
    fn new(fair: bool, cost: [u64; 2]) -> Self {
        let fair = fair.then(|| Fair::new(SLOTS));
        Self { fair, cost, ring: VecDeque::new(), idle: 0 }
    }

    /// Frames of each port at even intervals (nanoseconds) for so long.
    fn run(&mut self, every: &[u64], time: u64) -> Vec<Sent> {
        let mut next: Vec<u64> =
            every.iter().enumerate().map(|(n, every)| every / 7 * (n as u64 % 7)).collect();
        let mut sent = vec![Sent::default(); every.len()];
        let mut now = 0;
        while now < time {
            let batch = self.ring.len().min(BATCH);
            if let Some(fair) = &mut self.fair {
                fair.look(|ahead| ahead < self.ring.len());
            }
            let begun = now;
            for at in 0..batch {
                let port = self.ring[at];
                let id = PortId(u16::try_from(port).unwrap());
                if self.fair.as_mut().is_none_or(|fair| fair.admit(id)) {
                    sent[port].passed += 1;
                    now += self.cost[0];
                } else {
                    sent[port].shed += 1;
                    now += self.cost[1];
                }
            }
            if batch == 0 {
                now = next.iter().copied().min().unwrap_or(time).max(now + 1);
                self.idle += now - begun;
            }
            // In the order of their times; the batch's slots are the kernel's only after it.
            while let Some((at, port)) =
                next.iter().copied().zip(0..).filter(|(at, _)| *at <= now).min()
            {
                sent[port].offered += 1;
                if self.ring.len() < SLOTS {
                    self.ring.push_back(port);
                } else {
                    sent[port].lost += 1;
                }
                next[port] = at + every[port];
            }
            self.ring.drain(..batch);
        }
        sent
    }
}

#[test]
fn a_flood_costs_the_others_nothing() {
    // 500,000 frames a second against a worker that manages 200,000, and one in 20 ms.
    let ports = [2_000, 20_000_000];
    let unfair = Machine::new(false, [5_000, 50]).run(&ports, 10 * SECOND)[1];
    assert!(unfair.lost * 10 > unfair.offered, "this is what it is for: {unfair:?}");
    let mut machine = Machine::new(true, [5_000, 50]);
    let [flood, light] = machine.run(&ports, 10 * SECOND)[..] else { unreachable!() };
    assert_eq!((light.shed, light.lost), (0, 0));
    assert_eq!(flood.lost, 0, "the ring never filled");
    // Of the time that dropping leaves, the flood has all.
    assert!(flood.passed * 5_000 + flood.shed * 50 > 99 * 10 * SECOND / 100, "{flood:?}");
}

#[test]
fn nothing_is_dropped_before_it_must() {
    // A burst of three quarters of the ring, and a sender just below what the worker can.
    let mut machine = Machine::new(true, [5_000, 50]);
    machine.ring = std::iter::repeat_n(0, SLOTS / 4 * 3).collect();
    let sent = machine.run(&[5_010], 10 * SECOND)[0];
    assert_eq!((sent.shed, sent.lost), (0, 0));
    // A ring too small for shares is left to the kernel.
    let mut small = Fair::new(LEAST - 1);
    small.look(|_| true);
    assert!((0..10_000).all(|_| small.admit(PortId(0))));
}

#[test]
fn a_flood_that_ends_is_forgotten() {
    let mut machine = Machine::new(true, [5_000, 50]);
    assert!(machine.run(&[1_000], SECOND)[0].shed > 0);
    let after = machine.run(&[6_000], SECOND)[0];
    assert!(after.shed < SLOTS as u64 && after.lost == 0, "{after:?}");
    let later = machine.run(&[6_000], SECOND)[0];
    assert_eq!(later.shed, 0);
}

#[test]
fn counting_is_exact() {
    for waiting in [0, 1, 2, 63, 2047, 2048, 4095, 4096] {
        assert_eq!(count(SLOTS, |ahead| ahead < waiting), waiting);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever floods, however much: light ports lose nothing, floods have equal shares, the
    /// worker never idles while frames are dropped, and every frame is accounted for.
    #[test]
    fn shares_are_fair(
        floods in prop::collection::vec(800u64..4_000, 1..4),
        lights in prop::collection::vec(500_000u64..50_000_000, 0..20),
        sending in 2_000u64..10_000,
        dropping in 20u64..150,
    ) {
        let ports = [&floods[..], &lights].concat();
        let mut machine = Machine::new(true, [sending, dropping]);
        let settling = machine.run(&ports, SECOND / 5);
        let sent = machine.run(&ports, SECOND);
        let offered: u64 = floods.iter().map(|every| SECOND / every).sum();
        for (port, sent) in sent.iter().enumerate().skip(floods.len()) {
            prop_assert_eq!((sent.shed, sent.lost), (0, 0), "port {}", port);
        }
        for light in &settling[floods.len()..] {
            prop_assert_eq!(light.shed, 0);
        }
        let shed: u64 = sent.iter().map(|sent| sent.shed).sum();
        let passed: u64 = sent.iter().map(|sent| sent.passed).sum();
        // Nothing is shed that there was time for.
        if offered * sending < SECOND * 9 / 10 {
            prop_assert_eq!(shed, 0);
        } else if shed > 0 {
            prop_assert!(passed * sending + shed * dropping > SECOND * 97 / 100, "{} {}", passed, shed);
            let cut: Vec<_> = sent.iter().filter(|sent| sent.shed * 20 > sent.offered).collect();
            let most = cut.iter().map(|sent| sent.passed).max().unwrap_or(0);
            let least = cut.iter().map(|sent| sent.passed).min().unwrap_or(0);
            prop_assert!(most * 9 <= least * 10, "{:?}", sent);
            // Who was not cut had no more than those who were.
            for other in &sent {
                prop_assert!(other.passed * 9 <= most * 10 || cut.is_empty(), "{:?}", sent);
            }
        }
        let lost: u64 = sent.iter().map(|sent| sent.lost).sum();
        prop_assert!(lost * 1000 <= offered, "{} of {} found the ring full", lost, offered);
    }
}
