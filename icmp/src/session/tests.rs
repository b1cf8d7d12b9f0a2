//! The session in virtual time.

use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;
use wire::Timestamp;

use super::{Action, Event, Odd, Options, Patience, Refusal, Reply, Session};
use crate::packet::{self, Complaint, Message};

const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const NONCE: [u8; 8] = *b"abcdefgh";

fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(1_000_000_000 + ms * 1_000_000)
}

fn with(options: Options) -> Session {
    let payload = packet::payload(NONCE, options.size, &options.pattern);
    Session::new(options, PEER, Some(7), payload)
}

fn session(count: u64) -> Session {
    with(Options { count: Some(count), ..Options::default() })
}

fn payload() -> Vec<u8> {
    packet::payload(NONCE, 56, &[])
}

fn reply(seq: u16, payload: &[u8]) -> Message<'_> {
    Message::Reply { ident: 7, seq, payload, sound: true }
}

fn odd(event: Option<Event>) -> Odd {
    match event {
        Some(Event::Reply(Reply { odd, .. })) => odd,
        other => panic!("not a reply: {other:?}"),
    }
}

/// Answers probe `seq` as an honest peer would.
fn answer(s: &mut Session, seq: u16, ms: u64) -> Odd {
    odd(s.received(&reply(seq, &payload()), PEER, Some(64), at(ms)))
}

fn complain(s: &mut Session, kind: u8, seq: u16) -> Option<Event> {
    let about = Complaint { kind, code: 1, ident: 7, seq, towards: PEER, info: 0 };
    s.received(&Message::Error(about), ROUTER, None, at(1))
}

#[test]
fn two_probes_a_second_apart_and_it_is_over() {
    let mut s = session(2);
    assert_eq!(s.due(at(0)), Action::Send(1));
    s.sent(at(0));
    assert_eq!(s.due(at(1)), Action::Wait(at(1000)));
    assert_eq!(answer(&mut s, 1, 5), Odd::default());
    assert_eq!(s.due(at(1000)), Action::Send(2));
    s.sent(at(1000));
    assert_eq!(s.due(at(1001)), Action::Wait(at(2000)), "answered before: an interval more");
    answer(&mut s, 2, 1002);
    assert_eq!(s.due(at(1003)), Action::Done);
    assert_eq!((s.stats().sent, s.stats().received), (2, 2));
    assert_eq!(s.stats().elapsed, Duration::from_secs(1), "from the first to the last sent");
}

#[test]
fn how_long_the_last_answers_are_waited_for() {
    let mut s = session(1);
    s.sent(at(0));
    assert_eq!(s.due(at(1)), Action::Wait(at(10_000)), "nothing ever came back");
    let mut s = session(2);
    s.sent(at(0));
    answer(&mut s, 1, 900);
    s.sent(at(1000));
    assert_eq!(s.due(at(1001)), Action::Wait(at(2800)), "twice the longest round trip");
    assert_eq!(s.due(at(2800)), Action::Done);
    let patience = Patience::Each(Duration::from_secs(3));
    let mut s = with(Options { count: Some(2), patience, ..Options::default() });
    s.sent(at(0));
    answer(&mut s, 1, 1);
    s.sent(at(1000));
    assert_eq!(s.due(at(1001)), Action::Wait(at(4000)), "each as long as asked");
}

#[test]
fn with_a_deadline_it_goes_on_until_enough_are_answered() {
    let deadline = Some(Duration::from_secs(10));
    let mut s = with(Options { count: Some(1), deadline, ..Options::default() });
    s.sent(at(0));
    assert_eq!(s.due(at(1000)), Action::Send(2), "the first is lost");
    s.sent(at(1000));
    answer(&mut s, 2, 1001);
    assert_eq!(s.due(at(1002)), Action::Done);
    let mut s = with(Options { deadline, ..Options::default() });
    s.sent(at(0));
    assert!(complain(&mut s, 3, 1).is_some());
    assert_eq!(s.due(at(2)), Action::Done, "an error ends it too");
}

#[test]
fn what_is_odd_about_an_answer_is_told() {
    let mut s = session(9);
    s.sent(at(0));
    s.sent(at(10));
    assert_eq!(answer(&mut s, 2, 11), Odd::default());
    assert_eq!(answer(&mut s, 2, 12), Odd { duplicate: true, ..Odd::default() });
    assert_eq!(answer(&mut s, 1, 13), Odd { reordered: true, ..Odd::default() });
    let stats = s.stats();
    assert_eq!((stats.received, stats.duplicates, stats.reordered, stats.pipe), (2, 1, 1, 2));

    s.sent(at(20));
    let mut other = payload();
    other[20] ^= 1;
    let changed = odd(s.received(&reply(3, &other), PEER, Some(63), at(21)));
    let change = changed.changed.unwrap();
    assert_eq!((change.at, change.sent, change.got), (20, 20, 21));
    assert_eq!(changed.ttl_was, Some(64));

    s.sent(at(30));
    let short = odd(s.received(&reply(4, &payload()[..30]), ROUTER, Some(63), at(10_031)));
    assert!(short.truncated && short.elsewhere && short.late && short.changed.is_none());

    s.sent(at(40));
    let payload = payload();
    let unsound = Message::Reply { ident: 7, seq: 5, payload: &payload, sound: false };
    assert!(odd(s.received(&unsound, PEER, Some(63), at(41))).bad_checksum);
    let stats = s.stats();
    assert_eq!((stats.changed, stats.truncated, stats.elsewhere, stats.late), (1, 1, 1, 1));
    assert_eq!((stats.ttl_changes, stats.corrupt, stats.received), (1, 1, 4));
    assert_eq!(stats.round_trips.len(), 5, "duplicates are measured, broken ones are not");
}

#[test]
fn anothers_answers_are_not_taken() {
    let mut s = session(5);
    s.sent(at(0));
    let zeros = [0; 56];
    let ident = Message::Reply { ident: 8, seq: 1, payload: &zeros, sound: true };
    assert_eq!(s.received(&ident, PEER, None, at(1)), None);
    assert_eq!(s.received(&reply(1, &zeros), PEER, None, at(1)), None, "another nonce");
    assert_eq!(s.received(&reply(2, &payload()), PEER, None, at(1)), None, "never sent");
    assert_eq!(s.stats().received, 0);
    let mut damaged = payload();
    damaged[3] ^= 0xff;
    let change = odd(s.received(&reply(1, &damaged), PEER, None, at(1))).changed.unwrap();
    assert_eq!(change.at, 3, "a damaged nonce is still ours");
}

#[test]
fn an_error_answers_its_probe_and_advice_does_not() {
    let mut s = session(1);
    s.sent(at(0));
    let elsewhere = Complaint { kind: 3, code: 1, ident: 7, seq: 1, towards: ROUTER, info: 0 };
    assert_eq!(s.received(&Message::Error(elsewhere), ROUTER, None, at(1)), None);
    assert!(complain(&mut s, 5, 1).is_some(), "a redirect");
    assert_eq!((s.stats().errors, s.in_flight()), (0, 1));
    assert!(complain(&mut s, 3, 1).is_some());
    assert_eq!(s.due(at(2)), Action::Done);
    assert_eq!((s.stats().errors, s.stats().received), (1, 0));
    let kinds: Vec<_> = s.stats().kinds.iter().map(|k| (k.kind, k.count, k.from)).collect();
    assert_eq!(kinds, [(5, 1, ROUTER), (3, 1, ROUTER)]);
}

/// How many probes leave in so many milliseconds, none answered.
fn sent_within(s: &mut Session, span: std::ops::Range<u64>) -> u64 {
    let before = s.stats().sent;
    for ms in span {
        while let Action::Send(_) = s.due(at(ms)) {
            s.sent(at(ms));
            assert!(s.stats().sent - before < 1000, "unbounded");
        }
    }
    s.stats().sent - before
}

#[test]
fn a_flood_is_bounded() {
    for preload in [1, 5, 64] {
        let deadline = Some(Duration::from_secs(1));
        let interval = Duration::ZERO;
        let mut s =
            with(Options { flood: true, interval, deadline, preload, ..Options::default() });
        assert_eq!(sent_within(&mut s, 0..1), u64::from(preload), "as many as stated");
        assert_eq!(sent_within(&mut s, 1..1000), 99, "then a hundred a second");
        let newest = u16::try_from(s.stats().sent).unwrap();
        answer(&mut s, newest, 999);
        assert_eq!(sent_within(&mut s, 999..1000), u64::from(preload), "an answer makes room");
        assert_eq!(s.due(at(1000)), Action::Done);
    }
}

#[test]
fn a_preload_leaves_at_once_and_then_one_an_interval() {
    let mut s = with(Options { preload: 3, ..Options::default() });
    assert_eq!(sent_within(&mut s, 0..1), 3);
    assert_eq!(sent_within(&mut s, 1..1000), 0);
    assert_eq!(sent_within(&mut s, 1000..3500), 3);
}

#[test]
fn an_adaptive_interval_follows_the_round_trips() {
    let mut s = with(Options { adaptive: true, ..Options::default() });
    s.sent(at(0));
    assert_eq!(s.due(at(1)), Action::Wait(at(1000)));
    answer(&mut s, 1, 20);
    assert_eq!(s.due(at(20)), Action::Send(2), "a round trip is an interval");
    s.sent(at(20));
    assert_eq!(s.due(at(21)), Action::Wait(at(40)));
}

#[test]
fn what_cannot_leave_is_lost_and_what_has_to_wait_is_not() {
    let mut s = session(2);
    let event = s.refused(Refusal::TooLong { mtu: 1500 }, at(0));
    assert_eq!(event, Event::Refused { seq: 1, why: Refusal::TooLong { mtu: 1500 } });
    assert_eq!((s.stats().sent, s.stats().errors), (1, 1));
    assert_eq!(s.due(at(1)), Action::Wait(at(1000)));
    assert!(s.held_up(at(1000)));
    assert_eq!(s.due(at(1001)), Action::Wait(at(1500)));
    assert_eq!(s.due(at(1500)), Action::Send(2), "the same again");
    let tries = (0..100).take_while(|_| s.held_up(at(1500))).count();
    assert!(tries < 20, "not for ever");
}

#[test]
fn a_stamp_moves_a_departure_and_no_further() {
    let mut s = session(2);
    s.sent(at(0));
    s.stamped(1, at(3));
    s.stamped(1, at(1));
    s.stamped(9, at(5));
    let Some(Event::Reply(reply)) = s.received(&reply(1, &payload()), PEER, None, at(10)) else {
        panic!("no reply")
    };
    assert_eq!(reply.rtt, Duration::from_millis(7), "not before it was handed over");
    s.stamped(1, at(9));
    assert_eq!(s.stats().longest(), Some(Duration::from_millis(7)));
}

#[test]
fn numbers_wrap_and_stand_for_the_newest() {
    let mut s = with(Options { interval: Duration::ZERO, ..Options::default() });
    for ms in 0..70_000 {
        s.sent(at(ms));
    }
    assert!(!answer(&mut s, 4464, 70_000).reordered);
    assert_eq!(s.stats().longest(), Some(Duration::from_millis(1)), "70,000, not 4,464");
    assert_eq!(s.in_flight(), 0);
    answer(&mut s, 4465, 70_000);
    assert_eq!(s.stats().longest(), Some(Duration::from_millis(65_536)));
}

proptest! {
    #[test]
    fn received_never_exceeds_sent(seqs in prop::collection::vec(0u16..50, 0..200), n in 1u64..40) {
        let mut s = session(n);
        for k in 0..n {
            s.sent(at(k));
        }
        for seq in seqs {
            s.received(&reply(seq, &payload()), PEER, Some(64), at(100));
        }
        let stats = s.stats();
        prop_assert!(stats.received <= stats.sent);
        prop_assert_eq!(stats.received + stats.duplicates, stats.measured());
        prop_assert!(stats.pipe <= stats.sent);
    }

    // A peer that loses, doubles and swaps: what it did is what is counted.
    #[test]
    fn losses_duplicates_and_order_are_told_apart(fates in prop::collection::vec(0u8..4, 1..60)) {
        let mut s = with(Options::default());
        let mut queue: Vec<u16> = Vec::new();
        for (place, fate) in fates.iter().enumerate() {
            let seq = u16::try_from(place + 1).unwrap();
            s.sent(at(u64::from(seq)));
            match fate {
                0 => {}
                1 => queue.push(seq),
                2 => queue.extend([seq, seq]),
                // Overtaken by the next.
                _ => queue.insert(queue.len().saturating_sub(1), seq),
            }
        }
        let mut seen: Vec<u16> = Vec::new();
        let (mut again, mut swapped) = (0, 0);
        for seq in &queue {
            again += u64::from(seen.contains(seq));
            swapped += u64::from(!seen.contains(seq) && seen.iter().any(|other| other > seq));
            seen.push(*seq);
            answer(&mut s, *seq, 100);
        }
        let stats = s.stats();
        prop_assert_eq!(stats.lost(), fates.iter().filter(|fate| **fate == 0).count() as u64);
        prop_assert_eq!((stats.duplicates, stats.reordered), (again, swapped));
    }
}
