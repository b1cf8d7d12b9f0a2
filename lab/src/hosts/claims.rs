//! Names and addresses claimed, all of a node's or none of them. What a host of this name has put
//! itself, by an older lease, it takes over.

use std::collections::BTreeMap;

use overlay::claim::conflict;
use overlay::{Claim, Key, NodeClaim};

use super::etcd::{Done, Etcd, Kv, MOST, Write};
use super::http::Failed;
use super::{Joined, Kind, Remote, Shared};
use crate::error::{Error, Result};
use crate::node::Node;

/// What became of a claim.
pub(super) enum Outcome {
    Made,
    /// Another has this of it.
    Taken(Key, Claim),
}

/// Puts all of `claim` under `lease`.
pub(super) async fn make(
    (etcd, shared): (&mut Etcd, &Shared),
    claim: &NodeClaim,
    lease: i64,
) -> std::result::Result<Outcome, Failed> {
    let own = claim.value(&shared.join.host);
    let value = serde_json::to_vec(&own).unwrap_or_default();
    let keys: Vec<_> =
        claim.keys().into_iter().map(|key| (shared.space.write(&key), key)).collect();
    let mut seen: BTreeMap<String, i64> = BTreeMap::new();
    // Once for what is there, once more for what has changed meanwhile.
    for _ in 0..4 {
        let write = |(text, _): &(String, Key)| Write {
            key: text.clone(),
            value: value.clone(),
            seen: seen.get(text).copied().unwrap_or(0),
        };
        let writes: Vec<_> = keys.iter().map(write).collect();
        let there = match etcd.put(&writes, lease).await? {
            Done::Made => return Ok(Outcome::Made),
            Done::Refused(there) => there,
        };
        let mut whole = there.len() == keys.len();
        for (text, key) in &keys {
            let Some(kv) = there.iter().find(|kv| kv.key() == *text) else { continue };
            let other = owner(kv);
            if other.host != own.host || shared.has_other(key, &other, claim) {
                return Ok(Outcome::Taken(key.clone(), other));
            }
            whole &= kv.lease == lease && other == own;
            seen.insert(text.clone(), kv.mod_revision);
        }
        // A member that was too slow to say so had done it.
        if whole {
            return Ok(Outcome::Made);
        }
        seen.retain(|text, _| there.iter().any(|kv| kv.key() == *text));
    }
    Err(Failed::Silent("what is claimed changes all the time".into()))
}

/// Puts as many claims at a time as a transaction takes; those that were refused as a whole come back.
pub(super) async fn make_many<'c>(
    (etcd, shared): (&mut Etcd, &Shared),
    claims: impl IntoIterator<Item = &'c NodeClaim>,
    lease: i64,
) -> std::result::Result<Vec<&'c NodeClaim>, Failed> {
    let mut refused = Vec::new();
    let (mut some, mut writes): (Vec<&NodeClaim>, Vec<Write>) = (Vec::new(), Vec::new());
    let mut claims = claims.into_iter().peekable();
    while let Some(claim) = claims.next() {
        let value = serde_json::to_vec(&claim.value(&shared.join.host)).unwrap_or_default();
        let keys = claim.keys().into_iter().map(|key| shared.space.write(&key));
        writes.extend(keys.map(|key| Write { key, value: value.clone(), seen: 0 }));
        some.push(claim);
        let next = claims.peek().map_or(usize::MAX, |next| next.keys().len());
        if writes.len().saturating_add(next) <= MOST {
            continue;
        }
        if let Done::Refused(_) = etcd.put(&writes, lease).await? {
            refused.append(&mut some);
        }
        some.clear();
        writes.clear();
    }
    Ok(refused)
}

/// Whose a key is; nobody's by name where that cannot be read.
fn owner(kv: &Kv) -> Claim {
    serde_json::from_slice(&kv.value).unwrap_or_else(|_| Claim {
        host: "?".into(),
        node: "something unreadable".into(),
        ips: Default::default(),
        macs: Vec::new(),
    })
}

/// The line for a claim that another has.
pub(super) fn taken(shared: &Shared, key: &Key, other: &Claim) -> Error {
    let network = shared.space.network();
    Error::Claimed(format!("{} in network {network}: choose another", conflict(key, other)))
}

/// Claims what a node has in networks of several hosts: all of it, or none.
pub(crate) fn claim(joined: &[Joined], node: &Node) -> Result<()> {
    for (done, own) in joined.iter().enumerate() {
        let Some(claim) = own.shared.of_node(node) else { continue };
        own.shared.claim(claim).inspect_err(|_| {
            for before in &joined[..done] {
                before.shared.wanted().remove(&node.name);
                before.look();
            }
        })?;
        if own.shared.join.kind == Kind::Bgp {
            own.look();
        }
    }
    Ok(())
}

/// The nodes of other hosts, by name.
pub(crate) fn others(joined: &[Joined]) -> BTreeMap<String, Remote> {
    joined.iter().flat_map(|joined| joined.shared.status().others.clone()).collect()
}

impl Shared {
    /// Whether another node of this host, that there still is, has `key`, which `claim` asks for. What
    /// one had that is gone, or is called otherwise by now, is free here before the registry says so.
    fn has_other(&self, key: &Key, other: &Claim, claim: &NodeClaim) -> bool {
        let wanted = self.wanted();
        let there = wanted.get(&other.node).filter(|_| other.node != claim.node);
        there.is_some_and(|there| there.keys().contains(key))
    }

    /// A node is called otherwise from now on: it claims that name for what it has.
    pub(crate) fn rename(&self, node: &Node, name: &str) -> Result<()> {
        let Some(claim) = self.of_node(node) else { return Ok(()) };
        let before = self.wanted().remove(&node.name);
        self.claim(NodeClaim { node: name.into(), ..claim }).inspect_err(|_| {
            let before = before.map(|before| (node.name.clone(), before));
            self.wanted().extend(before);
        })
    }

    /// By BGP nobody is asked. A hardware address that another host says it has comes here by being said
    /// here; an IP address of another node's stays that one's.
    pub(super) fn check_free(
        &self,
        claim: &NodeClaim,
        others: &BTreeMap<String, Remote>,
    ) -> Result<()> {
        for other in others.values() {
            let ip = claim.ips.iter().find(|ip| other.ips.contains(ip));
            if let (Some(ip), Some(mac)) = (ip, other.macs.first())
                && !claim.macs.contains(mac)
            {
                return Err(Error::Claimed(format!(
                    "{ip} is {mac}'s on host {} in network {}: choose another",
                    other.host, self.join.name
                )));
            }
        }
        Ok(())
    }

    /// Claims what a node is to have, from a thread that may wait; within [`super::http::ALL`].
    pub(crate) fn claim(&self, claim: NodeClaim) -> Result<()> {
        if self.join.kind == Kind::Bgp {
            let others = self.status().others.clone();
            self.check_free(&claim, &others)?;
            self.wanted().insert(claim.node.clone(), claim);
            return Ok(());
        }
        let silent = |why: String| Error::Registry {
            network: self.space.network().into(),
            what: format!("node {} cannot be claimed", claim.node),
            why,
        };
        let (lease, alone, out) = {
            let status = self.status();
            (status.lease, status.alone.as_ref().map(|(_, why)| why.clone()), status.out.clone())
        };
        if let Some(why) = out {
            return Err(Error::Claimed(why));
        }
        // Nobody waits for what is known to be silent.
        if let Some(why) = alone {
            return Err(silent(why));
        }
        let Some(lease) = lease else { return Err(silent("the lease was lost".into())) };
        // Before it is made, so that the agent does not take it for one that nobody needs.
        self.wanted().insert(claim.node.clone(), claim.clone());
        let mut etcd = Etcd::new(self.join.members.clone());
        let made = super::enter::runtime().and_then(|runtime| {
            let made = runtime.block_on(make((&mut etcd, self), &claim, lease));
            match made {
                Ok(Outcome::Made) => Ok(()),
                Ok(Outcome::Taken(key, other)) => Err(taken(self, &key, &other)),
                Err(failed) if failed.is_missing() => {
                    Err(silent("this host's lease has run out, and another is asked for".into()))
                }
                Err(failed) => {
                    let why = failed.to_string();
                    // The next one does not wait as long before the agent has found out.
                    self.status().alone.get_or_insert((super::enter::now(), why.clone()));
                    Err(silent(why))
                }
            }
        });
        if made.is_err() {
            self.wanted().remove(&claim.node);
        }
        made
    }
}
