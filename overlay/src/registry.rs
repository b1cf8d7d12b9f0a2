//! What is known of a network's registry: a list as of one revision, and the changes since. The order
//! is the registry's, by revision, so what comes twice or late changes nothing.
//!
//! Bounded by what the registry holds; keys and values that cannot be read are passed over and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use wire::MacAddr;

use crate::claim::{NodeClaim, Standing};
use crate::desired::Desired;
use crate::end::{is_end, is_station};
use crate::key::{Key, Space};
use crate::record::{Claim, Config, Host};

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

/// Something stands there that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread;

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
    /// The host that knows it, and its end: ends of the other family are no host's, and this one no other
    /// host's.
    own: Option<(String, IpAddr)>,
    /// Whose that end is by the registry.
    own_end: Option<Held<String>>,
    revision: i64,
    hosts: BTreeMap<String, Held<Host>>,
    /// The keys of one claim share what they say.
    claims: BTreeMap<Key, Held<Arc<Claim>>>,
    /// The hardware addresses that each host has claimed, be it there or not.
    macs: BTreeMap<String, BTreeSet<MacAddr>>,
    touched: Touched,
    /// What all hosts agree on; Err where something stands there that cannot be read.
    agreed: Option<Result<Config, Unread>>,
    strange: u64,
}

/// What may be otherwise than when it was last asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// Anything: it was listed.
    All,
    /// No more than this.
    Some {
        /// Where these addresses are.
        macs: BTreeSet<MacAddr>,
        /// Which hosts there are.
        hosts: bool,
    },
}

impl Touched {
    const NOTHING: Self = Self::Some { macs: BTreeSet::new(), hosts: false };

    fn mac(&mut self, mac: MacAddr) {
        if let Self::Some { macs, .. } = self {
            macs.insert(mac);
        }
    }
}

impl Registry {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn new(space: Space) -> Self {
        Self {
            space,
            own: None,
            own_end: None,
            revision: 0,
            hosts: BTreeMap::new(),
            claims: BTreeMap::new(),
            macs: BTreeMap::new(),
            touched: Touched::All,
            agreed: None,
            strange: 0,
        }
    }

    /// The same, as the host of this name and end knows it.
    #[must_use]
    pub fn at(self, name: &str, vtep: IpAddr) -> Self {
        Self { own: Some((name.to_owned(), vtep)), ..self }
    }

    /// The revision up to which it is known.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// What all hosts agree on; None where it was emptied.
    #[must_use]
    pub fn agreed(&self) -> Option<Result<&Config, Unread>> {
        self.agreed.as_ref().map(|agreed| agreed.as_ref().map_err(|unread| *unread))
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
        self.macs.clear();
        self.own_end = None;
        self.agreed = None;
        for (key, put) in all {
            self.put(&key, &put);
        }
        self.touched = Touched::All;
        self.revision = revision;
    }

    /// All hosts and nodes that there are as of `revision`, where the keys of their addresses are not
    /// listed yet ([`Space::nodes`]): what the nodes' own keys say of them stands for those, until
    /// [`Self::replace`] is told all.
    pub fn replace_by_nodes(
        &mut self,
        revision: i64,
        all: impl IntoIterator<Item = (String, Put)>,
    ) {
        self.replace(revision, all);
        let nodes = self.claims.iter().filter(|(key, _)| matches!(key, Key::Node(_)));
        for held in nodes.map(|(_, held)| held.clone()).collect::<Vec<_>>() {
            let ips = held.value.ips.iter().copied().map(Key::Ip);
            for key in ips.chain(held.value.addresses().map(Key::Mac)).collect::<Vec<_>>() {
                self.set_claim(key, Some(held.clone()));
            }
        }
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
                Some(Key::Host(name)) => self.set_host(name, None),
                Some(Key::Config) => self.agreed = None,
                Some(Key::Vtep(end)) => self.set_end(end, None),
                Some(key) => self.set_claim(key, None),
                None => {}
            },
        }
        self.revision = change.revision;
        true
    }

    fn put(&mut self, key: &str, put: &Put) {
        let Put { lease, revision, .. } = *put;
        match self.space.read(key) {
            Some(Key::Config) => {
                let agreed = serde_json::from_slice(&put.value).map_err(|_| Unread);
                self.strange += u64::from(agreed.is_err());
                self.agreed = Some(agreed);
            }
            Some(Key::Vtep(end)) => {
                let value = String::from_utf8_lossy(&put.value).into_owned();
                self.set_end(end, Some(Held { value, lease, revision }));
            }
            Some(Key::Host(name)) => {
                let value = serde_json::from_slice::<Host>(&put.value).ok();
                let value = value.filter(|host| self.is_end(&name, host.vtep));
                self.strange += u64::from(value.is_none());
                self.set_host(name, value.map(|value| Held { value, lease, revision }));
            }
            Some(key) => {
                let value = serde_json::from_slice::<Claim>(&put.value).ok();
                let value = value.filter(|value| value.is_of(&key));
                self.strange += u64::from(value.is_none());
                let value = value.map(|value| self.shared(value));
                self.set_claim(key, value.map(|value| Held { value, lease, revision }));
            }
            None => self.strange += 1,
        }
    }

    /// Whether a host may be there.
    fn is_end(&self, host: &str, vtep: IpAddr) -> bool {
        let fits = self.own.as_ref().is_none_or(|(me, own)| {
            vtep.is_ipv6() == own.is_ipv6() && (host == me || vtep != *own)
        });
        is_end(vtep) && fits
    }

    /// What another key of the claim says already, or this.
    fn shared(&self, claim: Claim) -> Arc<Claim> {
        let ips = claim.ips.iter().copied().map(Key::Ip);
        let macs = claim.addresses().map(Key::Mac);
        let keys = ips.chain(macs).chain([Key::node(&claim.node)]);
        let mut said = keys.filter_map(|key| Some(&self.claims.get(&key)?.value));
        let same = said.find(|said| ***said == claim).map(Arc::clone);
        drop(said);
        same.unwrap_or_else(|| Arc::new(claim))
    }

    fn set_host(&mut self, name: String, to: Option<Held<Host>>) {
        for mac in self.macs.get(&name).into_iter().flatten() {
            self.touched.mac(*mac);
        }
        if let Touched::Some { hosts, .. } = &mut self.touched {
            *hosts = true;
        }
        match to {
            Some(held) => drop(self.hosts.insert(name, held)),
            None => drop(self.hosts.remove(&name)),
        }
    }

    fn set_end(&mut self, end: IpAddr, to: Option<Held<String>>) {
        if self.own.as_ref().is_some_and(|(_, own)| *own == end) {
            self.own_end = to;
        }
    }

    fn set_claim(&mut self, key: Key, to: Option<Held<Arc<Claim>>>) {
        let mac = if let Key::Mac(mac) = &key { Some(*mac) } else { None };
        if let (Some(mac), Some(held)) = (mac, &to) {
            self.macs.entry(held.value.host.clone()).or_default().insert(mac);
        }
        let host = to.as_ref().map(|held| held.value.host.clone());
        let before = match to {
            Some(held) => self.claims.insert(key, held),
            None => self.claims.remove(&key),
        };
        let Some(mac) = mac else { return };
        self.touched.mac(mac);
        if let Some(before) = before.map(|held| held.value.host.clone())
            && host.as_ref() != Some(&before)
            && let Some(own) = self.macs.get_mut(&before)
        {
            own.remove(&mac);
            if own.is_empty() {
                self.macs.remove(&before);
            }
        }
    }

    /// What may be otherwise than at the last call.
    pub fn take_touched(&mut self) -> Touched {
        std::mem::replace(&mut self.touched, Touched::NOTHING)
    }

    /// The hosts that are in the network, by name.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &Host)> {
        self.hosts.iter().map(|(name, held)| (name.as_str(), &held.value))
    }

    /// Whether the host that knows it is there as it says itself, by `lease`: its row and that of its end.
    #[must_use]
    pub fn is_here(&self, host: &Host, lease: i64) -> bool {
        let Some((me, _)) = &self.own else { return true };
        let row = self.hosts.get(me).is_some_and(|is| is.lease == lease && is.value == *host);
        row && self.own_end.as_ref().is_some_and(|is| is.lease == lease && is.value == *me)
    }

    /// The nodes of all hosts, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Claim> {
        self.claims
            .iter()
            .filter(|(key, _)| matches!(key, Key::Node(_)))
            .map(|(_, held)| &*held.value)
    }

    /// What host `me` is to know of the others. What a host has claimed counts while that host is there.
    #[must_use]
    pub fn desired(&self, me: &str) -> Desired {
        let others = || self.hosts.iter().filter(|(name, _)| *name != me);
        let hosts = others().map(|(_, held)| held.value.vtep).collect();
        let all = self.claims.iter().filter_map(|(key, held)| match key {
            Key::Mac(mac) => Some((*mac, self.behind(me, *mac, held)?)),
            _ => None,
        });
        Desired { hosts, macs: all.collect() }
    }

    /// The end behind which host `me` finds an address.
    #[must_use]
    pub fn whereabouts(&self, me: &str, mac: MacAddr) -> Option<IpAddr> {
        self.behind(me, mac, self.claims.get(&Key::Mac(mac))?)
    }

    fn behind(&self, me: &str, mac: MacAddr, held: &Held<Arc<Claim>>) -> Option<IpAddr> {
        let host = self.hosts.get(&held.value.host).filter(|_| held.value.host != me)?;
        is_station(mac).then_some(host.value.vtep)
    }

    /// What `me` has claimed for nodes that are not among these: keys, and when they were put.
    #[must_use]
    pub fn surplus(&self, me: &str, nodes: &BTreeMap<String, NodeClaim>) -> Vec<(Key, i64)> {
        let idle = |(key, held): &(&Key, &Held<Arc<Claim>>)| {
            let Claim { host, node, .. } = &*held.value;
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
            // What this host has for another of its nodes is its own to give.
            if let Some(other) = held(key)
                && other.value.host != me
            {
                return Standing::Taken(key.clone(), (*other.value).clone());
            }
        }
        let ours = claim.value(me);
        let whole = keys
            .iter()
            .all(|key| held(key).is_some_and(|is| is.lease == lease && *is.value == ours));
        if whole { Standing::Held } else { Standing::Open }
    }
}
