//! What happens, in the order of its time.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::time::Duration;

use uswitch_overlay::session::TTL;
use uswitch_overlay::{Due, Host, Key, NodeClaim, Registry, Rows, Session, Space};
use wire::{MacAddr, Timestamp};

use crate::store::Store;
use crate::{CUT, HOSTS, WITNESSES};

/// A sequence of numbers that is the same each time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    /// How long a change is on its way to a host: half within 2 ms, one of a hundred 12 ms or more, as
    /// measured of etcd between namespaces.
    pub(super) fn way(&mut self) -> Duration {
        let part = self.below(1000);
        let micros = if part < 900 { 1000 + part * 2 } else { 3000 + (part - 900) * 100 };
        Duration::from_micros(micros as u64)
    }
}

/// What happens at a time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
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

/// A host as others know it.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) session: Session,
    pub(super) nodes: BTreeMap<String, NodeClaim>,
    pub(super) dead: bool,
    pub(super) cut: bool,
    pub(super) present: Option<i64>,
}

/// What a real host has of the network.
pub(super) struct Witness {
    pub(super) registry: Registry,
    pub(super) rows: Rows,
    pub(super) heard: usize,
    /// Steps that its tunnel took.
    pub(super) steps: usize,
    pub(super) lists: usize,
}

impl Witness {
    /// Rows follow what is known.
    pub(super) fn settle(&mut self, me: &str) {
        self.steps += self.rows.follow(&mut self.registry, me).len();
    }
}

pub(super) fn host(number: usize) -> Host {
    let [.., high, low] = number.to_be_bytes();
    Host { vtep: [10, 9, high, low].into(), lab: "l".into() }
}

pub(super) fn claim(number: usize) -> NodeClaim {
    let [.., a, b, c] = number.to_be_bytes();
    NodeClaim {
        node: format!("node{number}"),
        ips: [std::net::IpAddr::V4([10, a, b, c].into())].into(),
        macs: [MacAddr([2, 0, 10, a, b, c])].into(),
        tags: None,
    }
}

pub(super) struct World {
    pub(super) space: Space,
    pub(super) now: Timestamp,
    pub(super) queue: BinaryHeap<std::cmp::Reverse<(Timestamp, u64, Event)>>,
    pub(super) asked: u64,
    pub(super) store: Store,
    pub(super) members: Vec<Member>,
    pub(super) witnesses: BTreeMap<usize, Witness>,
    pub(super) leases: i64,
    pub(super) renewals: u64,
    pub(super) next_node: usize,
    pub(super) dice: Dice,
    pub(super) told: usize,
    /// For each witness the longest that a change took to be among its rows.
    pub(super) longest: BTreeMap<usize, Duration>,
    pub(super) since: HashMap<usize, Timestamp>,
    /// When those that were cut off may speak again, and the last of them was there again.
    pub(super) healed: Option<(Timestamp, Duration)>,
}

impl World {
    pub(super) fn at(&mut self, when: Timestamp, event: Event) {
        self.asked += 1;
        self.queue.push(std::cmp::Reverse((when, self.asked, event)));
    }

    pub(super) fn keys(&self, claim: &NodeClaim) -> Vec<String> {
        claim.keys().iter().map(|key| self.space.write(key)).collect()
    }

    pub(super) fn value(&self, claim: &NodeClaim, member: usize) -> Vec<u8> {
        serde_json::to_vec(&claim.value(&self.members[member].name)).unwrap()
    }

    /// A host has a lease: it is there, and claims all it has.
    pub(super) fn enter(&mut self, member: usize, ttl: Duration) {
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

    pub(super) fn beat(&mut self, member: usize) {
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

    pub(super) fn expire(&mut self, lease: i64) {
        let over = self.store.by_lease.get(&lease).is_some_and(|(until, _)| *until <= self.now);
        if over && let Some((_, keys)) = self.store.by_lease.remove(&lease) {
            self.store.delete(keys);
        }
    }

    pub(super) fn churn(&mut self) {
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

    pub(super) fn take(&mut self, member: usize, claim: NodeClaim) {
        let Some(lease) = self.members[member].present else { return };
        let (keys, value) = (self.keys(&claim), self.value(&claim, member));
        if self.store.claim(&keys, &value, lease) {
            self.members[member].nodes.insert(claim.node.clone(), claim);
        }
    }

    /// Tells the witnesses what is new in the log.
    pub(super) fn tell(&mut self) {
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

    pub(super) fn hear(&mut self, witness: usize, to: usize) {
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
    pub(super) fn list(&mut self, witness: usize) {
        let name = self.members[witness].name.clone();
        let own = self.witnesses.get_mut(&witness).unwrap();
        own.registry.replace(self.store.revision, self.store.keys.clone());
        (own.heard, own.lists) = (self.store.log.len(), own.lists + 1);
        own.settle(&name);
        self.since.remove(&witness);
    }

    pub(super) fn step(&mut self, event: Event) {
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
