//! Random networks with random policies: every packet against a model that knows only what the words
//! mean. It never crosses between isolated networks, is routed to named ones alone, and from internal
//! ones never reaches the uplink.

use std::net::Ipv4Addr;

use gateway::{DropReason, LegConfig, LegId, Side, Verdict};
use proptest::prelude::*;
use wire::MacAddr;

use crate::world::packet::SYN;
use crate::world::{Pkt, World, config};

const LEGS: u8 = 6;
const OUTSIDE: &str = "203.0.113.2";

/// A network: its policy, and whether it is there.
#[derive(Clone, Debug)]
struct Net {
    internal: bool,
    routed: Vec<u8>,
}

/// What happens: a packet of a kind from host to host, or a leg that comes, goes or changes.
#[derive(Clone, Debug)]
enum Step {
    Send { from: u8, to: Target, kind: u8, ttl: u8 },
    Set(u8, Net),
    Remove(u8),
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Host(u8),
    Gateway(u8),
    World,
    Uplink,
}

fn net() -> impl Strategy<Value = Net> {
    let routed = prop::collection::vec(0..LEGS, 0..3);
    (prop::bool::weighted(0.3), routed).prop_map(|(internal, routed)| Net { internal, routed })
}

fn step() -> impl Strategy<Value = Step> {
    let target = prop_oneof![
        4 => (0..LEGS).prop_map(Target::Host),
        2 => (0..LEGS).prop_map(Target::Gateway),
        2 => Just(Target::World),
        1 => Just(Target::Uplink),
    ];
    let ttl = prop::sample::select(vec![64, 64, 64, 1]);
    prop_oneof![
        8 => (0..LEGS, target, 0..4u8, ttl)
            .prop_map(|(from, to, kind, ttl)| Step::Send { from, to, kind, ttl }),
        1 => (0..LEGS, net()).prop_map(|(n, net)| Step::Set(n, net)),
        1 => (0..LEGS).prop_map(Step::Remove),
    ]
}

fn leg(n: u8, net: &Net) -> LegConfig {
    let mut leg = LegConfig::new(MacAddr([2, 0, 0, 1, 0, n]), Ipv4Addr::new(10, n, 0, 1), 24);
    leg.policy.internal = net.internal;
    leg.policy.routed = net.routed.iter().map(|n| LegId((*n).into())).collect();
    leg
}

/// What the words say: the side it leaves on, or why it does not.
fn expected(nets: &[Option<Net>], from: u8, to: Target, ttl: u8) -> Result<Side, DropReason> {
    let mine = nets[usize::from(from)].as_ref().unwrap();
    let there = |n: u8| nets[usize::from(n)].as_ref();
    let friends = |n: u8| {
        n == from
            || there(n).is_some_and(|net| net.routed.contains(&from) || mine.routed.contains(&n))
    };
    let side = |n: u8| Side::Leg(LegId(n.into()));
    match to {
        // What no leg has is part of the world.
        Target::Host(n) | Target::Gateway(n) if there(n).is_none() => {
            expected(nets, from, Target::World, ttl)
        }
        Target::Host(_) | Target::World if ttl <= 1 => Err(DropReason::TtlExceeded),
        Target::Host(n) if friends(n) => Ok(side(n)),
        Target::Gateway(n) if friends(n) => Ok(side(from)),
        Target::Host(_) | Target::Gateway(_) => Err(DropReason::Isolated),
        Target::World | Target::Uplink if mine.internal => Err(DropReason::Internal),
        Target::World => Ok(Side::Uplink),
        Target::Uplink => Ok(side(from)),
    }
}

fn packet(from: u8, to: Target, kind: u8) -> Pkt {
    let src = format!("10.{from}.0.2");
    let dst = match to {
        Target::Host(n) => format!("10.{n}.0.3"),
        Target::Gateway(n) => format!("10.{n}.0.1"),
        Target::World => "8.8.8.8".into(),
        Target::Uplink => OUTSIDE.into(),
    };
    let answered = matches!(to, Target::Gateway(_) | Target::Uplink);
    match kind {
        0 if !answered => Pkt::udp(&format!("{src}:5"), &format!("{dst}:6"), b"x"),
        1 if !answered => Pkt::tcp(&format!("{src}:5"), &format!("{dst}:6"), SYN, b""),
        2 if !answered => {
            Pkt::udp(&format!("{src}:5"), &format!("{dst}:6"), &[1; 4000]).offloaded(5, 1000)
        }
        _ => Pkt::echo(&src, &dst, 8, 5, b"x"),
    }
}

fn settle(world: &mut World, n: u8) {
    for host in [2, 3] {
        world.knock(n.into(), &format!("10.{n}.0.{host}"), &format!("10.{n}.0.1"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn packets_go_where_the_policies_say_and_nowhere_else(
        start in prop::collection::vec(prop::option::weighted(0.8, net()), usize::from(LEGS)),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut nets = start;
        let mut config = config();
        config.legs = (0..).zip(&nets)
            .filter_map(|(n, net)| Some((LegId(n.into()), leg(n, net.as_ref()?))))
            .collect();
        let mut world = World::empty(config);
        world.meet(Side::Uplink, crate::world::ROUTER);
        (0..LEGS).filter(|n| nets[usize::from(*n)].is_some()).for_each(|n| settle(&mut world, n));
        for step in steps {
            match step {
                Step::Set(n, net) => {
                    let id = LegId(n.into());
                    match nets[usize::from(n)] {
                        Some(_) => prop_assert_eq!(world.gateway.set_leg(id, leg(n, &net)), Ok(vec![])),
                        None => prop_assert_eq!(world.gateway.add_leg(id, leg(n, &net)), Ok(())),
                    }
                    nets[usize::from(n)] = Some(net);
                    settle(&mut world, n);
                }
                Step::Remove(n) => {
                    let there = nets[usize::from(n)].take().is_some();
                    prop_assert_eq!(world.gateway.remove_leg(LegId(n.into())).is_ok(), there);
                }
                Step::Send { from, to, kind, ttl } => {
                    if nets[usize::from(from)].is_none() {
                        continue;
                    }
                    let out = world.leg(from.into(), &packet(from, to, kind).ttl(ttl));
                    let what = format!("{from} to {to:?} kind {kind} ttl {ttl} of {nets:?}");
                    match expected(&nets, from, to, ttl) {
                        Ok(side) => {
                            prop_assert_eq!(out.verdict, Verdict::from(side), "{}", what);
                            prop_assert_eq!(out.frames.len(), 1);
                        }
                        Err(reason) => {
                            prop_assert_eq!(out.verdict, Verdict::Drop(reason), "{}", what);
                            // At most the error, to where it came from.
                            let back = Side::Leg(LegId(from.into()));
                            prop_assert!(out.frames.iter().all(|frame| frame.0 == back));
                        }
                    }
                    // Nothing of an internal network is known outside.
                    for session in world.sessions() {
                        let of = &nets[usize::from(session.inside.address.octets()[1])];
                        prop_assert!(of.as_ref().is_some_and(|net| !net.internal));
                    }
                }
            }
        }
    }
}
