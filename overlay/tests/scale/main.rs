//! A network of a thousand hosts and a hundred thousand nodes, in virtual time: nodes come, go and
//! move, hosts die, a third of them is cut off and comes back. What it takes is counted and bounded;
//! docs/scale.md has the figures.
//!
//! The registry is a map in memory that does what etcd does: transactions with conditions, leases that
//! run out, changes told in the order of revisions, each after a while of its own. Every host has a
//! [`Session`] and what it wants; a few, the witnesses, have all that a real one knows: the
//! [`Registry`] and the rows of a tunnel.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod store;
mod world;

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use uswitch_overlay::session::TTL;
use uswitch_overlay::{Key, Registry, Rows, Session, Space, Standing};
use wire::Timestamp;

use store::Store;
use world::{Dice, Event, Member, Witness, World, claim, host};

const HOSTS: usize = 1000;
const PER_HOST: usize = 100;
/// Changes of nodes while the simulation runs, one each 20 ms.
const CHURN: usize = 3000;
/// The witnesses: one that stays, one that is cut off, one whose changes come late.
const WITNESSES: [usize; 3] = [0, 999, 500];
/// Hosts that are cut off: the last third.
const CUT: usize = 667;

/// Memory that this process has resident, in bytes (proc(5), `statm`).
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn a_thousand_hosts_and_a_hundred_thousand_nodes() {
    let begun = Instant::now();
    let space = Space::of("net").unwrap();
    let member = |number: usize| Member {
        name: format!("h{number}"),
        session: Session::new(Timestamp::ZERO),
        nodes: (number * PER_HOST..(number + 1) * PER_HOST)
            .map(|number| (format!("node{number}"), claim(number)))
            .collect(),
        dead: false,
        cut: false,
        present: None,
    };
    let mut world = World {
        space: space.clone(),
        now: Timestamp::ZERO,
        queue: BinaryHeap::new(),
        asked: 0,
        store: Store::default(),
        members: (0..HOSTS).map(member).collect(),
        witnesses: BTreeMap::new(),
        leases: 0,
        renewals: 0,
        next_node: HOSTS * PER_HOST,
        dice: Dice(7),
        told: 0,
        longest: BTreeMap::new(),
        since: HashMap::new(),
        healed: None,
    };
    // Hosts do not begin in step.
    for member in 0..HOSTS {
        world.now = Timestamp::ZERO + Duration::from_micros(world.dice.below(1_500_000) as u64);
        world.enter(member, TTL);
        world.at(world.now, Event::Beat(member));
    }
    world.told = world.store.log.len();
    let (keys, first) = (world.store.keys.len(), world.store.operations);
    assert_eq!(keys, HOSTS * (1 + 3 * PER_HOST));
    let before = resident();
    for witness in WITNESSES {
        let registry = Registry::new(space.clone());
        let own = Witness { registry, rows: Rows::default(), heard: 0, steps: 0, lists: 0 };
        world.witnesses.insert(witness, own);
        world.list(witness);
    }
    let memory = (resident() - before) / WITNESSES.len();
    let second = |at: usize| Timestamp::ZERO + Duration::from_secs(at as u64);
    for number in 0..CHURN {
        world.at(Timestamp::ZERO + Duration::from_millis(20 * number as u64), Event::Churn);
    }
    for (at, event) in [(10, Event::Die), (20, Event::Cut), (40, Event::Heal)] {
        world.at(second(at), event);
    }
    let (changes, renewed) = (world.store.log.len(), world.renewals);
    let mut widest = 0;
    while let Some(std::cmp::Reverse((at, _, event))) = world.queue.pop() {
        if at > second(75) {
            break;
        }
        world.now = at;
        let length = world.store.log.len();
        world.step(event);
        widest = widest.max(world.store.log.len() - length);
    }
    let changes = world.store.log.len() - changes;
    let renewals = world.renewals - renewed;

    // All know the same, and it is so: rows lead to each node where it is, and to no dead host.
    let mut where_is = BTreeMap::new();
    for (number, member) in world.members.iter().enumerate() {
        for (node, claim) in &member.nodes {
            let keys = claim.keys();
            let ours = |key: &Key| {
                let put = world.store.keys.get(&space.write(key));
                put.is_some_and(|put| Some(put.lease) == member.present)
            };
            if keys.iter().all(ours) {
                let former = where_is.insert(*claim.macs.first().unwrap(), host(number).vtep);
                assert_eq!(former, None, "{node} is on two hosts");
            }
        }
    }
    for (witness, own) in &world.witnesses {
        let me = host(*witness).vtep;
        let rows: BTreeMap<_, _> = own
            .rows
            .all()
            .iter()
            .filter(|row| !row.is_flood())
            .map(|row| (row.mac, row.vtep))
            .collect();
        let wanted = where_is.iter().filter(|(_, vtep)| **vtep != me);
        assert!(rows.iter().eq(wanted), "witness {witness}");
        assert_eq!(own.rows.all().iter().filter(|row| row.is_flood()).count(), HOSTS - 1 - 10);
    }
    // Those that were cut off have again what nobody else has taken.
    let lost: usize = world.members[CUT..]
        .iter()
        .map(|member| {
            let registry = &world.witnesses[&0].registry;
            let lease = member.present.unwrap();
            let standing = |claim| registry.standing(claim, &member.name, lease);
            member.nodes.values().filter(|claim| standing(claim) != Standing::Held).count()
        })
        .sum();
    assert_eq!(lost, 0);

    let seconds = 75.0;
    println!(
        "{HOSTS} hosts, {} nodes, {keys} keys; a host holds {} MiB; {renewals} renewals ({:.0}/s), \
         {changes} changed keys, {} operations a claim, the most at once {widest}; rows changed {:?}; \
         longest way to a row {:?}; all that were cut off there again after {:?}; simulated in {:?}",
        HOSTS * PER_HOST,
        memory >> 20,
        renewals as f64 / seconds,
        (first - HOSTS as u64) / (HOSTS * PER_HOST) as u64,
        world.witnesses.values().map(|own| own.steps).collect::<Vec<_>>(),
        world.longest,
        world.healed.unwrap().1,
        begun.elapsed(),
    );
    assert!(memory < 128 << 20, "{memory} bytes for a host");
    // A host says a word each 1.5 s, and no more than that.
    assert!(renewals as f64 <= HOSTS as f64 * (seconds / 1.5 + 2.0), "{renewals}");
    // Who was cut off asks twice a second.
    assert!(world.healed.unwrap().1 <= Duration::from_millis(600), "{:?}", world.healed);
    // What is told is in the rows as soon as it has come: no host waits for another.
    for witness in [0, 500] {
        assert!(world.longest[&witness] < Duration::from_millis(100), "{:?}", world.longest);
    }
}
