use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::config::NatConfig;
use crate::nat::filter::NatType;

const START: Timestamp = Timestamp::from_nanos(50_000_000_000);
const GRE_: IpProtocol = IpProtocol(GRE);
const ESP: IpProtocol = IpProtocol(50);

fn nat(sessions: u32) -> Nat {
    let config = NatConfig { kind: NatType::default(), events: true, ..NatConfig::default() };
    Nat::new(&config, &(2000..=2011), Limits { sessions, ..Limits::default() }, 9)
}

fn talk(protocol: IpProtocol, inside: u16, remote: u16) -> Talk {
    let [high, low] = inside.to_be_bytes();
    let [above, below] = remote.to_be_bytes();
    let (inside, remote) = (Ipv4Addr::new(10, 100, high, low), Ipv4Addr::new(8, 8, above, below));
    Talk { protocol, inside, remote }
}

fn node(talk: Talk) -> Node {
    let [_, _, high, low] = talk.inside.octets();
    Node(u16::from_be_bytes([high, low]))
}

fn one() -> Load {
    Load { flags: None, packets: 1, bytes: 100 }
}

fn sends(nat: &mut Nat, talk: Talk, now: Timestamp) -> Result<Opening, DropReason> {
    nat.out_by_address(node(talk), talk, one(), now)
}

/// Whom an answer reaches.
fn answers(nat: &mut Nat, talk: Talk, now: Timestamp) -> Option<Ipv4Addr> {
    let id = nat.by_address.session(talk.protocol, talk.remote, now)?;
    Some(nat.in_by_address(id, one(), now).1)
}

fn after(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

#[test]
fn a_remote_is_one_hosts_until_its_session_is_over() {
    let mut nat = nat(64);
    let (first, second) = (talk(GRE_, 10, 1), talk(GRE_, 20, 1));
    assert_eq!(sends(&mut nat, first, START), Ok(Opening::ByAddress));
    assert_eq!(sends(&mut nat, first, START), Ok(Opening::Running));
    assert_eq!(sends(&mut nat, second, after(9)), Err(DropReason::RemoteTaken));
    // By another protocol, or to another remote, it is free.
    assert!(sends(&mut nat, talk(ESP, 20, 1), START).is_ok());
    assert!(sends(&mut nat, talk(GRE_, 20, 2), START).is_ok());
    // Who is not answered has it for ten seconds, and gets it back so where the next one is not either.
    assert_eq!(sends(&mut nat, second, after(10)), Ok(Opening::ByAddress));
    assert_eq!(sends(&mut nat, first, after(19)), Err(DropReason::RemoteTaken));
    assert_eq!(answers(&mut nat, second, after(19)), Some(second.inside));
    assert_eq!(sends(&mut nat, first, after(20)), Err(DropReason::RemoteTaken));
    // Once answered it stays while either side speaks.
    assert_eq!(answers(&mut nat, second, after(150)), Some(second.inside));
    assert_eq!(sends(&mut nat, first, after(329)), Err(DropReason::RemoteTaken));
    assert_eq!(sends(&mut nat, first, after(330)), Ok(Opening::ByAddress));
    nat.by_address.check();
}

#[test]
fn lifetimes_are_those_of_linux_once_answered() {
    for (protocol, answered, lives) in
        [(GRE_, false, 30), (ESP, false, 30), (GRE_, true, 180), (ESP, true, 600)]
    {
        let mut nat = nat(64);
        let talk = talk(protocol, 10, 1);
        sends(&mut nat, talk, START).unwrap();
        if answered {
            assert_eq!(answers(&mut nat, talk, START), Some(talk.inside));
        }
        let due = nat.expire(after(lives - 1)).unwrap();
        assert!(due <= after(lives + 1), "{protocol} {due:?}");
        assert!(nat.by_address.of(talk, after(lives - 1)).is_some());
        assert!(nat.by_address.of(talk, after(lives)).is_none());
        nat.expire(after(lives + 1));
        assert_eq!((nat.by_address.live(), nat.counters.expired), (0, 1));
        let kinds: Vec<_> =
            nat.events.drain().map(|event| (event.protocol, event.inside)).collect();
        assert_eq!(kinds, [(protocol, Endpoint::new(talk.inside, 0)); 2]);
    }
}

#[test]
fn one_node_leaves_room_for_the_others() {
    let mut nat = nat(64);
    // Established ones stay, and are no more than its share.
    let busy: Vec<_> = (0..64).map(|remote| talk(GRE_, 10, remote)).collect();
    let opened = busy.iter().filter(|talk| {
        let opened = sends(&mut nat, **talk, START).is_ok();
        opened
            && answers(&mut nat, **talk, START).is_some()
            && sends(&mut nat, **talk, START).is_ok()
    });
    assert_eq!(opened.count(), 32);
    assert_eq!(sends(&mut nat, busy[63], START), Err(DropReason::Quota));
    for remote in 0..10 {
        assert!(sends(&mut nat, talk(GRE_, 20, 100 + remote), START).is_ok());
    }
    // A flood of openings displaces its own.
    for remote in 0..1000 {
        assert!(sends(&mut nat, talk(GRE_, 30, 1000 + remote), START).is_ok());
    }
    for talk in &busy[..32] {
        assert!(nat.by_address.of(*talk, START).is_some());
    }
    assert_eq!(
        (0..10).filter(|n| nat.by_address.of(talk(GRE_, 20, 100 + n), START).is_some()).count(),
        10
    );
    assert!(nat.by_address.live() < 64 && nat.counters.displaced > 900);
    nat.by_address.check();
}

#[test]
fn sessions_go_with_a_flush_and_with_their_node() {
    let mut nat = nat(64);
    let (first, second) = (talk(GRE_, 10, 1), talk(GRE_, 20, 2));
    for talk in [first, second] {
        sends(&mut nat, talk, START).unwrap();
    }
    nat.forget_node(node(first));
    assert_eq!(nat.by_address.of(first, START), None);
    assert!(nat.by_address.of(second, START).is_some());
    // Another node that comes by the address meets nothing of the one before.
    assert_eq!(nat.out_by_address(Node(9), second, one(), START), Err(DropReason::Foreign));
    nat.forget_others(Node(9), second.inside);
    assert_eq!(nat.out_by_address(Node(9), second, one(), START), Ok(Opening::ByAddress));
    assert_eq!(nat.flush(None, START), 1);
    assert_eq!((nat.by_address.live(), nat.counters.flushed), (0, 3));
    nat.by_address.check();
}

#[derive(Clone, Debug)]
enum Op {
    Out(bool, u16, u16),
    In(bool, u16),
    Pass(u32),
    Gone(u16),
    Flush,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (any::<bool>(), 0u16..4, 0u16..5).prop_map(|(gre, i, r)| Op::Out(gre, i, r)),
        6 => (any::<bool>(), 0u16..5).prop_map(|(gre, r)| Op::In(gre, r)),
        4 => (0u32..200).prop_map(Op::Pass),
        1 => (0u16..4).prop_map(Op::Gone),
        1 => Just(Op::Flush),
    ];
    proptest::collection::vec(op, 1..150)
}

/// Who has a remote by a protocol: since when, until when, and whether it has answered.
struct Held {
    inside: Ipv4Addr,
    since: Timestamp,
    until: Timestamp,
    answered: bool,
}

proptest! {
    /// Against a model that is a list of who has which remote.
    #[test]
    fn translation_by_address_follows_the_model(ops in ops()) {
        let mut nat = nat(4096);
        let mut now = START;
        let mut model: HashMap<(IpProtocol, Ipv4Addr), Held> = HashMap::new();
        let which = |gre| if gre { GRE_ } else { ESP };
        let lives = |protocol, answered| Duration::from_secs(match (answered, protocol) {
            (false, _) => 30,
            (true, GRE_) => 180,
            (true, _) => 600,
        });
        for op in ops {
            match op {
                Op::Out(gre, inside, remote) => {
                    let talk = talk(which(gre), inside, remote);
                    let key = (talk.protocol, talk.remote);
                    let mine = model.get(&key).is_none_or(|held| {
                        let patient = held.since + PATIENCE <= now;
                        held.inside == talk.inside || !held.answered && patient
                    });
                    prop_assert_eq!(sends(&mut nat, talk, now).is_ok(), mine);
                    if mine {
                        let held = model.remove(&key).filter(|held| held.inside == talk.inside);
                        let fresh = Held { inside: talk.inside, since: now, until: now, answered: false };
                        let mut held = held.unwrap_or(fresh);
                        held.until = now + lives(talk.protocol, held.answered);
                        model.insert(key, held);
                    }
                }
                Op::In(gre, remote) => {
                    let talk = talk(which(gre), 0, remote);
                    let held = model.get_mut(&(talk.protocol, talk.remote));
                    let wanted = held.as_ref().map(|held| held.inside);
                    prop_assert_eq!(answers(&mut nat, talk, now), wanted);
                    if let Some(held) = held {
                        (held.answered, held.until) = (true, now + lives(talk.protocol, true));
                    }
                }
                Op::Pass(seconds) => now = now + Duration::from_secs(seconds.into()),
                Op::Gone(inside) => {
                    let gone = talk(ESP, inside, 0);
                    nat.forget_node(node(gone));
                    model.retain(|_, held| held.inside != gone.inside);
                }
                Op::Flush => {
                    nat.flush(None, now);
                    model.clear();
                }
            }
            nat.expire(now);
            model.retain(|_, held| held.until > now);
            nat.by_address.check();
            prop_assert!(nat.by_address.live() as usize >= model.len());
        }
    }
}
