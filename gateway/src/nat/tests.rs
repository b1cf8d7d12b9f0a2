use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;
use wire::tcp::Flags;

use super::check::check;
use super::filter::{Filter, NatType};
use super::plan::Use;
use super::*;

pub(super) const PORTS: RangeInclusive<u16> = 2000..=2011;
/// The uplink's address.
const OWN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

fn inside(n: u8) -> Endpoint {
    // Four hosts of three ports; some ports lie in the pool, some do not.
    let port = [2000, 2001, 40_000][usize::from(n / 4 % 3)];
    Endpoint::new(Ipv4Addr::new(10, 100, 0, 10 + n % 4), port)
}

fn remote(n: u8) -> Endpoint {
    // Three hosts of two ports.
    Endpoint::new(Ipv4Addr::new(8, 8, 8, n % 3), [53, 80][usize::from(n / 3 % 2)])
}

pub(super) fn nat(kind: NatType, sessions: u32) -> Nat {
    let config = NatConfig { kind, ..NatConfig::default() };
    let limits = Limits { sessions, ..Limits::default() };
    Nat::new(&config, &PORTS, limits, 9)
}

fn udp() -> Load {
    Load { flags: None, packets: 1, bytes: 100 }
}

pub(super) fn tcp(flags: u8) -> Load {
    Load { flags: Some(Flags(flags)), ..udp() }
}

/// A packet goes out, of a host that is a node by itself.
pub(super) fn outbound(
    nat: &mut Nat,
    protocol: Protocol,
    ends: (Endpoint, Endpoint),
    load: Load,
    now: Timestamp,
) -> Result<u16, DropReason> {
    let node = node(ends.0);
    match nat.running(protocol, node, ends, load, now)? {
        Some(port) => Ok(port),
        None => nat.open(protocol, node, ends, load, now),
    }
}

pub(super) fn node(inside: Endpoint) -> Node {
    let [_, _, high, low] = inside.address.octets();
    Node(u16::from_be_bytes([high, low]))
}

/// A packet comes in: plan and commit, as the gateway does.
pub(super) fn inbound(
    nat: &mut Nat,
    protocol: Protocol,
    target: (u16, Endpoint),
    load: Load,
    now: Timestamp,
) -> Result<Endpoint, DropReason> {
    let plan = nat.plan_in(protocol, target, load, now)?;
    nat.commit_in(protocol, target, plan, load, now)
}

#[derive(Clone, Debug)]
enum Op {
    Out {
        inside: u8,
        remote: u8,
        flags: u8,
    },
    In {
        port: u16,
        remote: u8,
        flags: u8,
    },
    Hairpin {
        inside: u8,
        port: u16,
        flags: u8,
    },
    Pass(u32),
    /// The uplink has the address of these tests, or none.
    Flush {
        up: bool,
    },
    /// On whichever address, or on that one.
    Publish {
        inside: u8,
        port: u16,
        bound: bool,
    },
    Withdraw {
        port: u16,
    },
    Gone {
        inside: u8,
    },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let flags = prop_oneof![Just(2u8), Just(16), Just(18), Just(17), Just(4)];
    let port = 1998u16..2014;
    let op = prop_oneof![
        8 => (0u8..12, 0u8..6, flags.clone()).prop_map(|(inside, remote, flags)| Op::Out { inside, remote, flags }),
        6 => (port.clone(), 0u8..6, flags.clone()).prop_map(|(port, remote, flags)| Op::In { port, remote, flags }),
        4 => (0u8..12, port.clone(), flags.clone()).prop_map(|(inside, port, flags)| Op::Hairpin { inside, port, flags }),
        2 => (0u32..400_000).prop_map(Op::Pass),
        1 => any::<bool>().prop_map(|up| Op::Flush { up }),
        1 => (0u8..12, port.clone(), any::<bool>()).prop_map(|(inside, port, bound)| Op::Publish { inside, port, bound }),
        1 => port.prop_map(|port| Op::Withdraw { port }),
        1 => (0u8..12).prop_map(|inside| Op::Gone { inside }),
    ];
    proptest::collection::vec(op, 1..150)
}

fn kinds() -> impl Strategy<Value = NatType> {
    proptest::sample::select(NatType::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any interleaving of packets, time and administration keeps the invariants, and whatever
    /// goes out can be answered.
    #[test]
    fn invariants_hold_under_any_interleaving(kind in kinds(), ops in ops(), room in 3u32..20) {
        let mut nat = nat(kind, room);
        let mut now = Timestamp::ZERO + Duration::from_secs(50);
        let mut has_address = true;
        for op in ops {
            match op {
                Op::Out { inside: i, remote: r, flags } => {
                    for (protocol, load) in [
                        (Protocol::Udp, udp()),
                        (Protocol::Tcp, tcp(flags)),
                        (Protocol::Icmp, udp()),
                    ] {
                        let (from, mut to) = (inside(i), remote(r));
                        if protocol == Protocol::Icmp { to.port = 0 }
                        let Ok(port) = outbound(&mut nat, protocol, (from, to), load, now) else { continue };
                        let back = if flags == 4 { tcp(16) } else { load };
                        let plan = nat.plan_in(protocol, (port, to), back, now).unwrap();
                        let PlanIn::Known(id) = plan else { panic!("{plan:?}") };
                        prop_assert_eq!(nat.realm(protocol).table.get(id).inside(), from);
                    }
                }
                Op::In { port, remote: r, flags } => {
                    let target = (port, remote(r));
                    let _ = inbound(&mut nat, Protocol::Udp, target, udp(), now);
                    let _ = inbound(&mut nat, Protocol::Tcp, target, tcp(flags), now);
                    let _ = inbound(&mut nat, Protocol::Icmp, target, udp(), now);
                }
                Op::Hairpin { inside: i, port, flags } => {
                    for (protocol, load) in [(Protocol::Udp, udp()), (Protocol::Tcp, tcp(flags))] {
                        // As the gateway does it: out, and in again from there.
                        let (from, door) = (inside(i), Endpoint::new(OWN, port));
                        let Ok(outside) = outbound(&mut nat, protocol, (from, door), load, now) else { continue };
                        let back = Endpoint::new(OWN, outside);
                        let Ok(other) = inbound(&mut nat, protocol, (port, back), load, now) else { continue };
                        // The other one answers whom it sees, and the first sees who it spoke to.
                        let answer = if protocol == Protocol::Tcp { tcp(16) } else { load };
                        let seen = outbound(&mut nat, protocol, (other, back), answer, now);
                        prop_assert_eq!(seen, Ok(port));
                        let home = inbound(&mut nat, protocol, (outside, door), answer, now);
                        prop_assert_eq!(home, Ok(from));
                    }
                }
                Op::Pass(millis) => now = now + Duration::from_millis(u64::from(millis)),
                Op::Flush { up } => {
                    has_address = up;
                    nat.flush(up.then_some(OWN), now);
                }
                Op::Publish { inside: i, port, bound } => {
                    let (inside, address) = (inside(i), bound.then_some(OWN));
                    for protocol in [Protocol::Tcp, Protocol::Udp] {
                        let wanted = Published { protocol, address, port, inside };
                        let _ = nat.publish((node(inside), false), wanted, has_address || !bound);
                    }
                }
                Op::Withdraw { port } => {
                    nat.unpublish(Protocol::Tcp, port);
                    nat.unpublish(Protocol::Udp, port);
                }
                Op::Gone { inside: i } => {
                    let gone = node(inside(i));
                    nat.forget_node(gone);
                    for realm in &nat.realms {
                        prop_assert!(realm.table.from(0).all(|(_, s)| s.node != gone));
                        let left = PORTS.filter(|p| realm.mappings.inside(*p).is_some());
                        prop_assert!(left.map(|p| realm.mappings.node(p)).all(|n| n != gone));
                    }
                }
            }
            nat.expire(now);
            check(&nat, now);
        }
    }

    /// UDP against a model that is nothing but the RFC: who may come in, and until when.
    #[test]
    fn udp_filtering_and_lifetime_follow_the_model(kind in kinds(), ops in ops()) {
        let mut nat = nat(kind, 65_536);
        let mut now = Timestamp::ZERO;
        // (inside, remote) -> last packet out and the port it was given.
        let mut sent: HashMap<(Endpoint, Endpoint), (Timestamp, u16)> = HashMap::new();
        // (port, remote) -> whom it has reached without being answered, and since when.
        let mut heard: HashMap<(u16, Endpoint), (Endpoint, Timestamp)> = HashMap::new();
        for op in ops {
            match op {
                Op::Out { inside: i, remote: r, .. } => {
                    let pair = (inside(i), remote(r));
                    let displaced = nat.counters.displaced;
                    if let Ok(port) = outbound(&mut nat, Protocol::Udp, pair, udp(), now) {
                        sent.insert(pair, (now, port));
                        heard.remove(&(port, pair.1));
                    }
                    if nat.counters.displaced > displaced {
                        let realm = nat.realm(Protocol::Udp);
                        sent.retain(|pair, _| realm.known_out(pair.0, pair.1, now).is_some());
                        heard.retain(|at, _| realm.known_in(at.0, at.1, now).is_some());
                    }
                }
                Op::In { port, remote: r, .. } => {
                    let from = remote(r);
                    let owners = sent.iter().filter(|(_, s)| s.1 == port);
                    let admitted: HashSet<Endpoint> = owners
                        .filter(|((_, to), _)| match kind.filter() {
                            Filter::Independent => true,
                            Filter::Address => to.address == from.address,
                            Filter::AddressAndPort => *to == from,
                        })
                        .map(|((who, _), _)| *who)
                        .collect();
                    let plan = nat.plan_in(Protocol::Udp, (port, from), udp(), now);
                    let got = match plan {
                        Ok(PlanIn::Known(id)) => Some(nat.realm(Protocol::Udp).table.get(id).inside()),
                        Ok(PlanIn::Open { inside, .. }) => Some(inside),
                        Err(_) => None,
                    };
                    let before = heard.get(&(port, from)).map(|h| h.0);
                    prop_assert_eq!(got, before.or(admitted.iter().next().copied()));
                    let Some(who) = got else { continue };
                    prop_assert_eq!(inbound(&mut nat, Protocol::Udp, (port, from), udp(), now), Ok(who));
                    if !sent.contains_key(&(who, from)) {
                        heard.entry((port, from)).or_insert((who, now));
                    }
                }
                Op::Pass(millis) => now = now + Duration::from_secs(u64::from(millis) / 1000),
                _ => {}
            }
            nat.expire(now);
            sent.retain(|_, (at, _)| now.since(*at) < Duration::from_secs(300));
            heard.retain(|_, (_, at)| now.since(*at) < Duration::from_secs(30));
        }
    }
}

#[test]
fn a_session_costs_at_most_128_bytes_of_table() {
    // A thousand hosts, and a permit for each session.
    let hosts = 1000;
    for sessions in [65_536u32, 1_000_000] {
        let mut realm = Realm::new(
            Protocol::Tcp,
            1..=65535,
            (NatType::default(), crate::Lifetimes::default()),
            &Limits { sessions, ..Limits::default() },
            1,
        );
        for n in 0..sessions {
            let host = u16::try_from(n % hosts).unwrap();
            realm.quota.add((Node(host), Ipv4Addr::from(n % hosts)), 1, 0);
            realm.permits.add(2000, Ipv4Addr::from(n));
        }
        let own = realm.table.bytes() + realm.mappings.bytes();
        let bytes = own + realm.quota.bytes() + realm.permits.bytes();
        let each = bytes / sessions as usize;
        println!(
            "{sessions} sessions: {each} bytes each, {} of them table",
            own / sessions as usize
        );
        assert!(each <= 128, "{each} bytes a session of {sessions}");
    }
}

#[test]
fn a_million_sessions_are_usable() {
    let config = NatConfig { kind: NatType::Symmetric, ..NatConfig::default() };
    let limits = Limits { sessions: 1_000_000, ..Limits::default() };
    let mut nat = Nat::new(&config, &(1..=65535), limits, 1);
    let (t0, total) = (Timestamp::ZERO, 1_000_000u32);
    // 4000 hosts of 250 sessions each; the last few need hosts that have none, as a share of
    // what is free is kept for them.
    let flow = |n: u32| {
        let host = if n < 999_000 { n % 4000 } else { 5000 + n - 999_000 };
        let port = u16::try_from(1024 + n / 4000).unwrap();
        let inside = Endpoint::new(Ipv4Addr::from(0x0a64_0002 + host), port);
        (inside, Endpoint::new(Ipv4Addr::from(0x0808_0000 + n / 40_000), 53))
    };
    let mut given = HashSet::new();
    for n in 0..total {
        let port = outbound(&mut nat, Protocol::Udp, flow(n), udp(), t0);
        match port {
            Ok(port) => assert!(given.insert((port, flow(n).1))),
            Err(reason) => panic!("session {n}: {reason}"),
        }
    }
    // Full: one of those that nobody has answered gives way to the newcomer.
    let displaced = nat.counters.displaced;
    let newcomer = (inside(0), remote(0));
    outbound(&mut nat, Protocol::Udp, newcomer, udp(), t0).unwrap();
    assert!(displaced < 10 && nat.counters.displaced == displaced + 1, "{displaced}");
    let is_known = |n: &u32| nat.realm(Protocol::Udp).known_out(flow(*n).0, flow(*n).1, t0);
    assert_eq!((0..total).filter_map(|n| is_known(&n)).count() as u64, 999_999 - displaced);
    // Everything ends, a bounded number a call.
    let end = t0 + Duration::from_secs(301);
    let mut calls = 0;
    while nat.realm(Protocol::Udp).table.live() > 0 {
        nat.expire(end);
        calls += 1;
    }
    assert_eq!((calls, nat.counters.expired), (total.div_ceil(EXPIRE_BUDGET), 1_000_000));
}

/// A question, an answer, and more from inside: what gives way to nobody.
fn settled(nat: &mut Nat, ends: (Endpoint, Endpoint), now: Timestamp) -> u16 {
    let port = outbound(nat, Protocol::Udp, ends, udp(), now).unwrap();
    inbound(nat, Protocol::Udp, (port, ends.1), udp(), now).unwrap();
    assert_eq!(outbound(nat, Protocol::Udp, ends, udp(), now), Ok(port));
    port
}

#[test]
fn exhaustion_of_ports_is_told_from_a_full_table() {
    let mut nat = nat(NatType::default(), 65_536);
    let host = |n: u8| (Endpoint::new(Ipv4Addr::new(10, 100, 0, n), 9), remote(0));
    for n in 0..12 {
        settled(&mut nat, host(n), Timestamp::ZERO);
    }
    let got = outbound(&mut nat, Protocol::Udp, host(12), udp(), Timestamp::ZERO);
    assert_eq!(got, Err(DropReason::PortsExhausted));
    // Expiry gives the ports back, even where no tick has come round.
    let later = Timestamp::ZERO + Duration::from_secs(300);
    assert!(outbound(&mut nat, Protocol::Udp, host(12), udp(), later).is_ok());
}

#[test]
fn a_plan_says_what_will_happen_and_changes_nothing() {
    let mut nat = nat(NatType::default(), 8);
    let pair = (inside(2 * 4), remote(0));
    let plan =
        nat.realm(Protocol::Udp).plan_out(node(pair.0), pair, None, Timestamp::ZERO).unwrap();
    let PlanOut::Open { outside, mapping: Use::New, .. } = plan else { panic!("{plan:?}") };
    assert_eq!(nat.realm(Protocol::Udp).table.live(), 0);
    assert_eq!(outbound(&mut nat, Protocol::Udp, pair, udp(), Timestamp::ZERO), Ok(outside));
}
