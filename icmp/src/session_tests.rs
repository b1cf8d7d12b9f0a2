//! The session in virtual time.

use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;
use wire::Timestamp;

use super::{Action, Event, Note, Options, Session};
use crate::packet::{self, Message};

const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const NONCE: [u8; 8] = *b"abcdefgh";

fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(1_000_000_000 + ms * 1_000_000)
}

fn session(count: u64) -> Session {
    let options = Options { count: Some(count), ..Options::default() };
    Session::new(options, PEER, Some(7), NONCE)
}

fn reply(seq: u16) -> Message {
    Message::Reply { ident: 7, seq, payload: packet::payload(NONCE, 56), sound: true }
}

fn note(event: Option<Event>) -> Note {
    match event {
        Some(Event::Reply { note, .. }) => note,
        other => panic!("not a reply: {other:?}"),
    }
}

#[test]
fn two_probes_a_second_apart_and_it_is_over() {
    let mut s = session(2);
    assert_eq!(s.due(at(0)), Action::Send(1));
    s.sent(at(0));
    assert_eq!(s.due(at(1)), Action::Wait(at(1000)));
    assert_eq!(note(s.received(&reply(1), PEER, Some(64), at(5))), Note::Plain);
    assert_eq!(s.due(at(1000)), Action::Send(2));
    s.sent(at(1000));
    assert_eq!(s.due(at(1001)), Action::Wait(at(2000)), "answered before: an interval more");
    s.received(&reply(2), PEER, Some(64), at(1002));
    assert_eq!(s.due(at(1003)), Action::Done);
    assert_eq!((s.stats().sent, s.stats().received), (2, 2));
    assert_eq!(s.stats().elapsed, Duration::from_millis(1002));
}

#[test]
fn what_is_odd_about_an_answer_is_told() {
    let mut s = session(5);
    s.sent(at(0));
    s.sent(at(10));
    assert_eq!(note(s.received(&reply(2), PEER, None, at(11))), Note::Plain);
    assert_eq!(note(s.received(&reply(2), PEER, None, at(12))), Note::Duplicate);
    assert_eq!(note(s.received(&reply(1), PEER, None, at(13))), Note::Plain);
    assert_eq!((s.stats().received, s.stats().duplicates, s.stats().reordered), (2, 1, 1));
    let mut payload = packet::payload(NONCE, 56);
    payload[20] ^= 1;
    let changed = Message::Reply { ident: 7, seq: 1, payload: payload.clone(), sound: true };
    assert_eq!(note(s.received(&changed, PEER, None, at(14))), Note::Changed(20));
    payload.truncate(30);
    let short = Message::Reply { ident: 7, seq: 1, payload, sound: true };
    assert_eq!(note(s.received(&short, PEER, None, at(15))), Note::Truncated);
}

#[test]
fn anothers_answers_are_not_taken() {
    let mut s = session(5);
    s.sent(at(0));
    let ident = Message::Reply { ident: 8, seq: 1, payload: vec![0; 56], sound: true };
    assert_eq!(s.received(&ident, PEER, None, at(1)), None);
    let nonce = Message::Reply { ident: 7, seq: 1, payload: vec![0; 56], sound: true };
    assert_eq!(s.received(&nonce, PEER, None, at(1)), None);
    assert_eq!(s.received(&reply(2), PEER, None, at(1)), None, "never sent");
    assert_eq!(s.stats().received, 0);
}

#[test]
fn an_error_ends_the_wait_for_its_probe() {
    let mut s = session(1);
    s.sent(at(0));
    let about = |towards| Message::Error { kind: 3, code: 1, ident: 7, seq: 1, towards, mtu: 0 };
    let elsewhere = Ipv4Addr::new(10, 0, 0, 9);
    assert_eq!(s.received(&about(elsewhere), PEER, None, at(1)), None);
    assert!(s.received(&about(PEER), Ipv4Addr::new(10, 0, 0, 1), None, at(1)).is_some());
    assert_eq!(s.due(at(2)), Action::Done);
    assert_eq!((s.stats().errors, s.stats().received), (1, 0));
}

#[test]
fn a_deadline_ends_it_and_a_flood_is_bounded() {
    let options =
        Options { flood: true, deadline: Some(Duration::from_secs(1)), ..Options::default() };
    let mut s = Session::new(options, PEER, Some(7), NONCE);
    let mut sent = 0;
    for ms in 0..2000 {
        match s.due(at(ms)) {
            Action::Send(_) => {
                s.sent(at(ms));
                sent += 1;
            }
            Action::Wait(_) => {}
            Action::Done => break,
        }
    }
    assert_eq!(sent, 100, "unanswered, a flood goes on at a hundred a second");
    assert_eq!(s.due(at(1000)), Action::Done);
}

proptest! {
    #[test]
    fn received_never_exceeds_sent(seqs in prop::collection::vec(0u16..50, 0..200), n in 1u64..40) {
        let mut s = session(n);
        for k in 0..n {
            s.sent(at(k));
        }
        for seq in seqs {
            s.received(&reply(seq), PEER, Some(64), at(100));
        }
        let stats = s.stats();
        prop_assert!(stats.received <= stats.sent);
        prop_assert_eq!(stats.received + stats.duplicates, stats.round_trips.len() as u64);
    }
}
