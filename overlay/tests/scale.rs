//! A network of a thousand hosts and a hundred thousand nodes, in virtual time: nodes come, go and
//! move, hosts die, a third of them is cut off and comes back. What it takes is counted and bounded;
//! docs/scale.md has the figures.
//!
//! The registry is a map in memory that does what etcd does: transactions with conditions, leases that
//! run out, changes told in the order of revisions, each after a while of its own. Every host has a
//! [`Session`] and what it wants; a few, the witnesses, have all that a real one knows: the
//! [`Registry`] and the rows of a tunnel.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use uswitch_overlay::registry::Put;
use uswitch_overlay::session::TTL;
use uswitch_overlay::{
    Change, Due, Host, Key, NodeClaim, Registry, Rows, Session, Space, Standing,
};
use wire::{MacAddr, Timestamp};

const HOSTS: usize = 1000;
const PER_HOST: usize = 100;
/// Changes of nodes while the simulation runs, one each 20 ms.
const CHURN: usize = 3000;
/// The witnesses: one that stays, one that is cut off, one whose changes come late.
const WITNESSES: [usize; 3] = [0, 999, 500];
/// Hosts that are cut off: the last third.
const CUT: usize = 667;

/// A sequence of numbers that is the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    /// How long a change is on its way to a host: half within 2 ms, one of a hundred 12 ms or more, as
    /// measured of etcd between namespaces.
    fn way(&mut self) -> Duration {
        let part = self.below(1000);
        let micros = if part < 900 { 1000 + part * 2 } else { 3000 + (part - 900) * 100 };
        Duration::from_micros(micros as u64)
    }
}

/// What happens at a time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A host looks at its lease.
    Beat(usize),
    /// A lease may have run out.
    Expiry(i64),
    /// A witness hears the changes up to this place of the log.
    Hear(usize, usize),
    /// A node somewhere comes, goes or moves.
    Churn,
    /// Hosts die.
    Die,
    Cut,
    Heal,
}

/// The registry: keys, leases, and all that changed.
#[derive(Default)]
struct Store {
    revision: i64,
    keys: BTreeMap<String, Put>,
    by_lease: HashMap<i64, (Timestamp, BTreeSet<String>)>,
    log: Vec<Change>,
    transactions: u64,
    operations: u64,
}

impl Store {
    /// Puts keys that are all free; false where one is not.
    fn claim(&mut self, keys: &[String], value: &[u8], lease: i64) -> bool {
        self.transactions += 1;
        self.operations += keys.len() as u64;
        if keys.iter().any(|key| self.keys.contains_key(key)) || !self.by_lease.contains_key(&lease)
        {
            return false;
        }
        self.revision += 1;
        for key in keys {
            let put = Put { value: value.to_vec(), lease, revision: self.revision };
            self.by_lease.get_mut(&lease).unwrap().1.insert(key.clone());
            self.keys.insert(key.clone(), put.clone());
            self.log.push(Change { key: key.clone(), revision: self.revision, put: Some(put) });
        }
        true
    }

    fn delete(&mut self, keys: impl IntoIterator<Item = String>) {
        self.revision += 1;
        for key in keys {
            let Some(put) = self.keys.remove(&key) else { continue };
            if let Some((_, own)) = self.by_lease.get_mut(&put.lease) {
                own.remove(&key);
            }
            self.log.push(Change { key, revision: self.revision, put: None });
        }
    }
}

/// A host as others know it.
struct Member {
    name: String,
    session: Session,
    nodes: BTreeMap<String, NodeClaim>,
    dead: bool,
    cut: bool,
    present: Option<i64>,
}

/// What a real host has of the network.
struct Witness {
    registry: Registry,
    rows: Rows,
    heard: usize,
    /// Steps that its tunnel took.
    steps: usize,
    lists: usize,
}

impl Witness {
    /// Rows follow what is known.
    fn settle(&mut self, me: &str) {
        self.steps += self.rows.follow(&mut self.registry, me).len();
    }
}

fn host(number: usize) -> Host {
    let [.., high, low] = number.to_be_bytes();
    Host { vtep: [10, 9, high, low].into(), lab: "l".into() }
}

fn claim(number: usize) -> NodeClaim {
    let [.., a, b, c] = number.to_be_bytes();
    NodeClaim {
        node: format!("node{number}"),
        ips: [std::net::IpAddr::V4([10, a, b, c].into())].into(),
        macs: [MacAddr([2, 0, 10, a, b, c])].into(),
    }
}

/// Memory that this process has resident, in bytes (proc(5), `statm`).
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

struct World {
    space: Space,
    now: Timestamp,
    queue: BinaryHeap<std::cmp::Reverse<(Timestamp, u64, Event)>>,
    asked: u64,
    store: Store,
    members: Vec<Member>,
    witnesses: BTreeMap<usize, Witness>,
    leases: i64,
    renewals: u64,
    next_node: usize,
    dice: Dice,
    told: usize,
    /// For each witness the longest that a change took to be among its rows.
    longest: BTreeMap<usize, Duration>,
    since: HashMap<usize, Timestamp>,
    /// When those that were cut off may speak again, and the last of them was there again.
    healed: Option<(Timestamp, Duration)>,
}

impl World {
    fn at(&mut self, when: Timestamp, event: Event) {
        self.asked += 1;
        self.queue.push(std::cmp::Reverse((when, self.asked, event)));
    }

    fn keys(&self, claim: &NodeClaim) -> Vec<String> {
        claim.keys().iter().map(|key| self.space.write(key)).collect()
    }

    fn value(&self, claim: &NodeClaim, member: usize) -> Vec<u8> {
        serde_json::to_vec(&claim.value(&self.members[member].name)).unwrap()
    }

    /// A host has a lease: it is there, and claims all it has.
    fn enter(&mut self, member: usize, ttl: Duration) {
        if let Some((since, last)) = &mut self.healed {
            *last = self.now.since(*since);
        }
        self.leases += 1;
        let lease = self.leases;
        let until = self.now + ttl;
        self.store.by_lease.insert(lease, (until, BTreeSet::new()));
        self.members[member].session.granted(lease, ttl, self.now);
        self.members[member].present = Some(lease);
        self.at(until, Event::Expiry(lease));
        let key = self.space.write(&Key::Host(self.members[member].name.clone()));
        let value = serde_json::to_vec(&host(member)).unwrap();
        // The key of its own older lease, where that is still there.
        self.store.delete([key.clone()]);
        assert!(self.store.claim(&[key], &value, lease));
        for claim in self.members[member].nodes.values().cloned().collect::<Vec<_>>() {
            let (keys, value) = (self.keys(&claim), self.value(&claim, member));
            self.store.claim(&keys, &value, lease);
        }
    }

    fn beat(&mut self, member: usize) {
        let own = &self.members[member];
        if own.dead {
            return;
        }
        let now = self.now;
        match own.session.due(now) {
            _ if own.cut => {
                self.members[member].session.failed(now);
            }
            Due::At(_) => {}
            Due::Renew(lease) => {
                self.renewals += 1;
                match self.store.by_lease.get_mut(&lease) {
                    Some((until, _)) => {
                        *until = now + TTL;
                        self.members[member].session.granted(lease, TTL, now);
                        self.at(now + TTL, Event::Expiry(lease));
                    }
                    None => {
                        self.members[member].session.lost(now);
                        self.enter(member, TTL);
                    }
                }
            }
            Due::Grant => self.enter(member, TTL),
        }
        let next = match self.members[member].session.due(now) {
            Due::At(at) => at,
            Due::Grant | Due::Renew(_) => now + Duration::from_millis(1),
        };
        self.at(next, Event::Beat(member));
    }

    fn expire(&mut self, lease: i64) {
        let over = self.store.by_lease.get(&lease).is_some_and(|(until, _)| *until <= self.now);
        if over && let Some((_, keys)) = self.store.by_lease.remove(&lease) {
            self.store.delete(keys);
        }
    }

    fn churn(&mut self) {
        let member = self.dice.below(HOSTS);
        if self.members[member].dead || self.members[member].cut {
            return;
        }
        let Some(lease) = self.members[member].present else { return };
        let kind = self.dice.below(3);
        if kind > 0 && !self.members[member].nodes.is_empty() {
            // It goes, or moves to another host.
            let at = self.dice.below(self.members[member].nodes.len());
            let name = self.members[member].nodes.keys().nth(at).unwrap().clone();
            let gone = self.members[member].nodes.remove(&name).unwrap();
            let keys = self.keys(&gone);
            let held =
                |key: &String| self.store.keys.get(key).is_some_and(|put| put.lease == lease);
            if !keys.iter().all(held) {
                return;
            }
            self.store.transactions += 1;
            self.store.delete(keys);
            let to = self.dice.below(HOSTS);
            let there = &self.members[to];
            if kind == 2 && !there.dead && !there.cut {
                self.take(to, gone);
            }
        } else {
            let claim = claim(self.next_node);
            self.next_node += 1;
            self.take(member, claim);
        }
    }

    fn take(&mut self, member: usize, claim: NodeClaim) {
        let Some(lease) = self.members[member].present else { return };
        let (keys, value) = (self.keys(&claim), self.value(&claim, member));
        if self.store.claim(&keys, &value, lease) {
            self.members[member].nodes.insert(claim.node.clone(), claim);
        }
    }

    /// Tells the witnesses what is new in the log.
    fn tell(&mut self) {
        if self.told == self.store.log.len() {
            return;
        }
        self.told = self.store.log.len();
        for witness in WITNESSES {
            let way = self.dice.way();
            self.since.entry(witness).or_insert(self.now);
            // In the order of revisions: what comes later tells all before it too.
            self.at(self.now + way, Event::Hear(witness, self.told));
        }
    }

    fn hear(&mut self, witness: usize, to: usize) {
        if self.members[witness].cut {
            return;
        }
        let name = self.members[witness].name.clone();
        let own = self.witnesses.get_mut(&witness).unwrap();
        for change in &self.store.log[own.heard.min(to)..to] {
            own.registry.apply(change);
        }
        own.heard = own.heard.max(to);
        if own.heard == self.told {
            own.settle(&name);
            if let Some(since) = self.since.remove(&witness) {
                let longest = self.longest.entry(witness).or_default();
                *longest = (*longest).max(self.now.since(since));
            }
        }
    }

    /// All is listed anew, as after a watch that has ended.
    fn list(&mut self, witness: usize) {
        let name = self.members[witness].name.clone();
        let own = self.witnesses.get_mut(&witness).unwrap();
        own.registry.replace(self.store.revision, self.store.keys.clone());
        (own.heard, own.lists) = (self.store.log.len(), own.lists + 1);
        own.settle(&name);
        self.since.remove(&witness);
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Beat(member) => self.beat(member),
            Event::Expiry(lease) => self.expire(lease),
            Event::Hear(witness, to) => self.hear(witness, to),
            Event::Churn => self.churn(),
            Event::Die => (100..110).for_each(|member| self.members[member].dead = true),
            Event::Cut => (CUT..HOSTS).for_each(|member| self.members[member].cut = true),
            Event::Heal => {
                self.healed = Some((self.now, Duration::ZERO));
                (CUT..HOSTS).for_each(|member| self.members[member].cut = false);
                WITNESSES.iter().filter(|own| **own >= CUT).for_each(|own| self.list(*own));
            }
        }
        self.tell();
    }
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
