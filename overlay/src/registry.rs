//! What is known of a network's registry: a list as of one revision, and the changes since. The order
//! is the registry's, by revision, so what comes twice or late changes nothing.
//!
//! Bounded by what the registry holds; keys and values that cannot be read are passed over and counted.

use std::collections::BTreeMap;

use wire::MacAddr;

use crate::claim::{NodeClaim, Standing};
use crate::desired::Desired;
use crate::key::{Key, Space};
use crate::record::{Claim, Host};

/// A key that came, is another, or has gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, as the registry has it.
    pub key: String,
    /// When: the revision of the registry.
    pub revision: i64,
    /// What it is now; None where it has gone.
    pub put: Option<Put>,
}

/// What a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The bytes there.
    pub value: Vec<u8>,
    /// The lease it goes with; 0 for none.
    pub lease: i64,
    /// When it was put: the revision of the registry.
    pub revision: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Held<T> {
    value: T,
    lease: i64,
    revision: i64,
}

/// The registry as it is known here.
#[derive(Clone, Debug)]
pub struct Registry {
    space: Space,
    revision: i64,
    hosts: BTreeMap<String, Held<Host>>,
    claims: BTreeMap<Key, Held<Claim>>,
    strange: u64,
}

impl Registry {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn new(space: Space) -> Self {
        let (hosts, claims) = (BTreeMap::new(), BTreeMap::new());
        Self { space, revision: 0, hosts, claims, strange: 0 }
    }

    /// The revision up to which it is known.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Keys and values that could not be read.
    #[must_use]
    pub fn strange(&self) -> u64 {
        self.strange
    }

    /// The whole of it, as of `revision`.
    pub fn replace(&mut self, revision: i64, all: impl IntoIterator<Item = (String, Put)>) {
        self.hosts.clear();
        self.claims.clear();
        for (key, put) in all {
            self.put(&key, &put);
        }
        self.revision = revision;
    }

    /// One change. False where it is known already.
    pub fn apply(&mut self, change: &Change) -> bool {
        // Changes of one transaction have one revision, and so has what a list told last.
        if change.revision < self.revision {
            return false;
        }
        match &change.put {
            Some(put) => self.put(&change.key, put),
            None => match self.space.read(&change.key) {
                Some(Key::Host(name)) => drop(self.hosts.remove(&name)),
                Some(key) => drop(self.claims.remove(&key)),
                None => {}
            },
        }
        self.revision = change.revision;
        true
    }

    fn put(&mut self, key: &str, put: &Put) {
        let Put { lease, revision, .. } = *put;
        match self.space.read(key) {
            Some(Key::Config | Key::Vtep(_)) => {}
            Some(Key::Host(name)) => match serde_json::from_slice(&put.value) {
                Ok(value) => drop(self.hosts.insert(name, Held { value, lease, revision })),
                Err(_) => {
                    self.strange += 1;
                    self.hosts.remove(&name);
                }
            },
            Some(key) => match serde_json::from_slice::<Claim>(&put.value) {
                Ok(value) if value.is_of(&key) => {
                    self.claims.insert(key, Held { value, lease, revision });
                }
                _ => {
                    self.strange += 1;
                    self.claims.remove(&key);
                }
            },
            None => self.strange += 1,
        }
    }

    /// The hosts that are in the network, by name.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &Host)> {
        self.hosts.iter().map(|(name, held)| (name.as_str(), &held.value))
    }

    /// The lease by which a host is there.
    #[must_use]
    pub fn lease_of(&self, host: &str) -> Option<i64> {
        self.hosts.get(host).map(|held| held.lease)
    }

    /// The nodes of all hosts, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Claim> {
        self.claims
            .iter()
            .filter(|(key, _)| matches!(key, Key::Node(_)))
            .map(|(_, held)| &held.value)
    }

    /// What host `me` is to know of the others. What a host has claimed counts while that host is there.
    #[must_use]
    pub fn desired(&self, me: &str) -> Desired {
        let others = || self.hosts.iter().filter(|(name, _)| *name != me);
        let hosts = others().map(|(_, held)| held.value.vtep).collect();
        let of_node = |(key, held): (&Key, &Held<Claim>)| -> Option<(MacAddr, _)> {
            let Key::Mac(mac) = key else { return None };
            let host = self.hosts.get(&held.value.host).filter(|_| held.value.host != me)?;
            let sane = !mac.is_group() && *mac != MacAddr::ZERO;
            sane.then_some((*mac, host.value.vtep))
        };
        Desired { hosts, macs: self.claims.iter().filter_map(of_node).collect() }
    }

    /// What `me` has claimed for nodes that are not among these: keys, and when they were put.
    #[must_use]
    pub fn surplus(&self, me: &str, nodes: &BTreeMap<String, NodeClaim>) -> Vec<(Key, i64)> {
        let idle = |(key, held): &(&Key, &Held<Claim>)| {
            let Claim { host, node, .. } = &held.value;
            host == me && !nodes.get(node).is_some_and(|claim| claim.keys().contains(key))
        };
        let idle = self.claims.iter().filter(idle);
        idle.map(|(key, held)| (key.clone(), held.revision)).collect()
    }

    /// How a claim of host `me` stands, where `lease` is the one that counts.
    #[must_use]
    pub fn standing(&self, claim: &NodeClaim, me: &str, lease: i64) -> Standing {
        let keys = claim.keys();
        let held = |key: &Key| self.claims.get(key);
        for key in &keys {
            if let Some(other) = held(key)
                && (other.value.host != me || other.value.node != claim.node)
            {
                return Standing::Taken(key.clone(), other.value.clone());
            }
        }
        let ours = claim.value(me);
        let whole = keys
            .iter()
            .all(|key| held(key).is_some_and(|is| is.lease == lease && is.value == ours));
        if whole { Standing::Held } else { Standing::Open }
    }
}
