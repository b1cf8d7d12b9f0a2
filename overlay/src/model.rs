//! Random hosts against a registry in memory: they claim, lose their leases, are cut off, come back;
//! rows vanish behind their backs. Held against a model that is told all at once.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proptest::prelude::*;
use wire::MacAddr;

use crate::registry::Put;
use crate::{
    Change, Desired, FdbOp, Host, Key, NodeClaim, Registry, Row, Rows, Space, Standing, difference,
};

const HOSTS: usize = 4;
/// Nodes that there are, so that hosts contend for them.
const NODES: u8 = 5;

#[derive(Clone, Debug)]
enum Step {
    /// A host asks for a lease and is there by it.
    Enter(usize),
    /// It claims a node.
    Claim(usize, u8),
    /// It gives one up.
    Release(usize, u8),
    /// Its lease runs out.
    Expire(usize),
    /// It hears nothing more.
    Cut(usize),
    /// It hears all it has missed, by changes or by a list.
    Heal(usize, bool),
    /// A row of its tunnel is taken out by somebody.
    Lose(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let host = 0..HOSTS;
    prop_oneof![
        2 => host.clone().prop_map(Step::Enter),
        5 => (host.clone(), 0..NODES).prop_map(|(host, node)| Step::Claim(host, node)),
        2 => (host.clone(), 0..NODES).prop_map(|(host, node)| Step::Release(host, node)),
        1 => host.clone().prop_map(Step::Expire),
        1 => host.clone().prop_map(Step::Cut),
        2 => (host.clone(), any::<bool>()).prop_map(|(host, list)| Step::Heal(host, list)),
        1 => (host, any::<u8>()).prop_map(|(host, place)| Step::Lose(host, place)),
    ]
}

/// The registry: keys with their leases, and all that ever changed.
#[derive(Default)]
struct Store {
    revision: i64,
    keys: BTreeMap<String, Put>,
    log: Vec<Change>,
}

impl Store {
    fn put_all(&mut self, keys: &[String], value: &[u8], lease: i64) {
        self.revision += 1;
        for key in keys {
            let put = Put { value: value.to_vec(), lease, revision: self.revision };
            self.keys.insert(key.clone(), put.clone());
            self.log.push(Change { key: key.clone(), revision: self.revision, put: Some(put) });
        }
    }

    fn delete(&mut self, gone: impl Fn(&str, &Put) -> bool) {
        self.revision += 1;
        let keys: Vec<_> = self
            .keys
            .iter()
            .filter(|(key, put)| gone(key, put))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.keys.remove(&key);
            self.log.push(Change { key, revision: self.revision, put: None });
        }
    }
}

/// One host: what it knows, what the kernel has, what it wants.
struct Own {
    name: String,
    registry: Registry,
    rows: BTreeSet<Row>,
    set: Rows,
    heard: usize,
    cut: bool,
    /// A row was taken out behind its back.
    spoilt: bool,
    lease: i64,
    wanted: BTreeMap<String, NodeClaim>,
}

impl Own {
    fn vtep(number: usize) -> IpAddr {
        [10, 9, 0, u8::try_from(number).unwrap() + 1].into()
    }

    fn hear(&mut self, store: &Store, list: bool) {
        if self.cut {
            return;
        }
        if list {
            let ranges = Space::of("net").unwrap().nodes();
            let nodes = store.keys.clone().into_iter();
            let nodes = nodes.filter(|(key, _)| ranges.iter().any(|range| range.has(key)));
            let mut early = self.registry.clone();
            early.replace_by_nodes(store.revision, nodes.collect::<Vec<_>>());
            self.registry.replace(store.revision, store.keys.clone());
            assert_eq!(early.desired(&self.name), self.registry.desired(&self.name));
            for claim in self.wanted.values() {
                let standing = |of: &Registry| of.standing(claim, &self.name, self.lease);
                assert_eq!(standing(&early), standing(&self.registry));
            }
        } else {
            for change in &store.log[self.heard..] {
                self.registry.apply(change);
            }
        }
        self.heard = store.log.len();
        let desired = self.registry.desired(&self.name).rows();
        // By what has changed since, as the tunnel is told; and by all there is, as when it is asked.
        for step in self.set.follow(&mut self.registry, &self.name) {
            if !self.spoilt {
                apply(&mut self.rows, step);
            }
        }
        assert_eq!(*self.set.all(), desired);
        if std::mem::take(&mut self.spoilt) {
            for step in difference(&self.rows, &desired) {
                apply(&mut self.rows, step);
            }
        }
        assert_eq!(self.rows, desired);
    }
}

/// What the kernel does with a step; it refuses one that does not fit.
fn apply(rows: &mut BTreeSet<Row>, step: FdbOp) {
    match step {
        FdbOp::Remove(row) => assert!(rows.remove(&row), "{row:?} is not there"),
        FdbOp::Append(row) => assert!(row.is_flood() && rows.insert(row)),
        FdbOp::Set(row) => {
            assert!(!row.is_flood());
            rows.retain(|other| other.mac != row.mac);
            rows.insert(row);
        }
    }
}

fn claim(node: u8) -> NodeClaim {
    NodeClaim {
        node: format!("n{node}"),
        ips: [[10, 1, 0, node].into()].map(std::net::IpAddr::V4).into(),
        macs: [MacAddr([2, 0, 10, 1, 0, node])].into(),
        tags: None,
    }
}

/// What `me` is to know, from the keys alone.
fn model(space: &Space, store: &Store, me: &str) -> Desired {
    let mut hosts = BTreeMap::new();
    for (key, put) in &store.keys {
        if let Some(Key::Host(name)) = space.read(key) {
            hosts.insert(name, serde_json::from_slice::<Host>(&put.value).unwrap().vtep);
        }
    }
    let mut macs = BTreeMap::new();
    for (key, put) in &store.keys {
        let Some(Key::Mac(mac)) = space.read(key) else { continue };
        let owner: crate::Claim = serde_json::from_slice(&put.value).unwrap();
        if owner.host != me
            && let Some(vtep) = hosts.get(&owner.host)
        {
            macs.insert(mac, *vtep);
        }
    }
    hosts.remove(me);
    Desired { hosts: hosts.into_values().collect(), macs }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn tables_follow_the_registry_and_are_equal_after_healing(steps in proptest::collection::vec(step(), 1..80)) {
        let space = Space::of("net").unwrap();
        let mut store = Store::default();
        let mut leases = 0;
        let mut hosts: Vec<_> = (0..HOSTS).map(|number| Own {
            name: format!("h{number}"), registry: Registry::new(space.clone()), rows: BTreeSet::new(),
            set: Rows::default(), heard: 0, cut: false, spoilt: false, lease: 0, wanted: BTreeMap::new(),
        }).collect();
        for step in steps {
            match step {
                Step::Enter(host) => {
                    let own = &mut hosts[host];
                    if own.cut || own.lease != 0 {
                        continue;
                    }
                    leases += 1;
                    own.lease = leases;
                    let value = Host { vtep: Own::vtep(host), lab: "l".into() };
                    let value = serde_json::to_vec(&value).unwrap();
                    store.put_all(&[space.write(&Key::Host(own.name.clone()))], &value, leases);
                }
                Step::Claim(host, node) => {
                    let own = &mut hosts[host];
                    if own.cut || own.lease == 0 {
                        continue;
                    }
                    let claim = claim(node);
                    let keys: Vec<_> = claim.keys().iter().map(|key| space.write(key)).collect();
                    let free = keys.iter().all(|key| !store.keys.contains_key(key));
                    if free {
                        let value = serde_json::to_vec(&claim.value(&own.name)).unwrap();
                        store.put_all(&keys, &value, own.lease);
                        own.wanted.insert(claim.node.clone(), claim);
                    }
                }
                Step::Release(host, node) => {
                    let own = &mut hosts[host];
                    own.wanted.remove(&format!("n{node}"));
                    own.hear(&store, false);
                    if !own.cut {
                        let surplus = own.registry.surplus(&own.name, &own.wanted);
                        let gone: BTreeSet<_> = surplus.iter().map(|(key, seen)| (space.write(key), *seen)).collect();
                        store.delete(|key, put| gone.contains(&(key.to_owned(), put.revision)));
                    }
                }
                Step::Expire(host) => {
                    let lease = std::mem::take(&mut hosts[host].lease);
                    store.delete(|_, put| put.lease == lease);
                }
                Step::Cut(host) => hosts[host].cut = true,
                Step::Heal(host, list) => {
                    hosts[host].cut = false;
                    hosts[host].hear(&store, list);
                }
                Step::Lose(host, place) => {
                    let rows = &mut hosts[host].rows;
                    if let Some(row) = rows.iter().nth(usize::from(place) % rows.len().max(1)).copied() {
                        rows.remove(&row);
                        hosts[host].spoilt = true;
                    }
                }
            }
            for own in &mut hosts {
                own.hear(&store, false);
                // No row leads to a host that is not there, as far as this one has heard.
                let there: BTreeSet<_> = own.registry.hosts().map(|(_, host)| host.vtep).collect();
                prop_assert!(own.rows.iter().all(|row| there.contains(&row.vtep) || own.cut));
            }
        }
        for own in &mut hosts {
            own.cut = false;
            own.hear(&store, false);
            prop_assert_eq!(own.registry.desired(&own.name), model(&space, &store, &own.name));
            prop_assert_eq!(&own.rows, &model(&space, &store, &own.name).rows());
        }
        // What is claimed is one host's, which says so itself and nobody else does.
        for node in 0..NODES {
            let claim = claim(node);
            let standing: Vec<_> = hosts.iter().map(|own| own.registry.standing(&claim, &own.name, own.lease)).collect();
            let held = standing.iter().filter(|standing| **standing == Standing::Held).count();
            let taken = standing.iter().filter(|standing| matches!(standing, Standing::Taken(..))).count();
            prop_assert!(held == 1 && taken == HOSTS - 1 || held == 0 && (taken == 0 || taken == HOSTS - 1), "{:?}", standing);
        }
    }

    #[test]
    fn strange_bytes_are_passed_over(keys in proptest::collection::vec(("[a-z0-9/:.]{0,20}", any::<Vec<u8>>()), 0..20)) {
        let mut registry = Registry::new(Space::of("net").unwrap());
        for (revision, (key, value)) in (1..).zip(keys) {
            let put = Some(Put { value, lease: 1, revision });
            registry.apply(&Change { key: format!("/uswitch/net/{key}"), revision, put });
        }
        prop_assert_eq!(registry.desired("h"), Desired::default());
    }
}
