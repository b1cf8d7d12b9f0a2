//! Names and addresses claimed, all of a node's or none of them. What a host of this name has put
//! itself, by an older lease, it takes over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use overlay::claim::conflict;
use overlay::{Claim, Key, NodeClaim};

use super::etcd::{Done, Etcd, Kv, MOST, Write};
use super::http::Failed;
use super::{Joined, Kind, Remote, Shared};
use crate::error::{Error, Result};
use crate::node::Node;

/// Times that a claim is tried: for what is there, and for what has changed meanwhile.
const TRIES: usize = 4;

/// What became of a claim.
pub(super) enum Outcome {
    Made,
    /// Another has this of it.
    Taken(Key, Claim),
}

/// Refuses a node with more addresses than are claimed at once.
pub(super) fn check_room(claim: &NodeClaim) -> Result<()> {
    let beside = claim.keys().len() - claim.ips.len();
    let (has, most) = (claim.ips.len(), MOST.saturating_sub(beside));
    match has > most {
        false => Ok(()),
        true => Err(Error::Usage(format!(
            "node {} has {has} addresses, and in a network of several hosts a node has {most} at most",
            claim.node
        ))),
    }
}

/// Puts all of `claim` under `lease`.
pub(super) async fn make(
    of: (&mut Etcd, &Shared),
    claim: &NodeClaim,
    lease: i64,
) -> std::result::Result<Outcome, Failed> {
    let taken = make_some(of, vec![claim], lease).await?;
    Ok(taken.into_iter().next().map_or(Outcome::Made, |(key, other)| Outcome::Taken(key, other)))
}

/// Puts as many claims at a time as a transaction takes; what of them others have comes back.
pub(super) async fn make_many<'c>(
    (etcd, shared): (&mut Etcd, &Shared),
    claims: impl IntoIterator<Item = &'c NodeClaim>,
    lease: i64,
) -> std::result::Result<Vec<(Key, Claim)>, Failed> {
    let (mut taken, mut some, mut keys) = (Vec::new(), Vec::new(), BTreeSet::new());
    for claim in claims {
        let own = claim.keys();
        // A key stands in a transaction once.
        let fits = keys.len() + own.len() <= MOST && own.iter().all(|key| !keys.contains(key));
        if !fits {
            taken.extend(make_some((etcd, shared), std::mem::take(&mut some), lease).await?);
            keys.clear();
        }
        keys.extend(own);
        some.push(claim);
    }
    taken.extend(make_some((etcd, shared), some, lease).await?);
    Ok(taken)
}

/// Puts claims in one transaction, and again where some of them are there already: ours by an older lease
/// are overwritten, and what others have is left out.
async fn make_some(
    (etcd, shared): (&mut Etcd, &Shared),
    mut claims: Vec<&NodeClaim>,
    lease: i64,
) -> std::result::Result<Vec<(Key, Claim)>, Failed> {
    let mut taken = Vec::new();
    let mut seen: BTreeMap<String, i64> = BTreeMap::new();
    for _ in 0..TRIES {
        let mut writes = Vec::new();
        for claim in &claims {
            let value = serde_json::to_vec(&claim.value(&shared.join.host)).unwrap_or_default();
            writes.extend(claim.keys().iter().map(|key| {
                let key = shared.space.write(key);
                Write { seen: seen.get(&key).copied().unwrap_or(0), value: value.clone(), key }
            }));
        }
        if writes.is_empty() {
            return Ok(taken);
        }
        let there = match etcd.put(&writes, lease).await? {
            Done::Made => return Ok(taken),
            Done::Refused(there) => there,
        };
        seen = there.iter().map(|kv| (kv.key().into_owned(), kv.mod_revision)).collect();
        // A member that was too slow to say so had done it.
        let done = |write: &Write| {
            let is = |kv: &&Kv| kv.key() == write.key && kv.lease == lease;
            there.iter().find(is).is_some_and(|kv| kv.value == write.value)
        };
        let mut left = Vec::new();
        let mut at = writes.iter();
        for claim in claims {
            let keys = claim.keys();
            let mut own = at.by_ref().take(keys.len());
            if own.all(done) {
                continue;
            }
            own.for_each(drop);
            match keys.iter().find_map(|key| others(shared, &there, claim, key)) {
                Some(other) => taken.push(other),
                None => left.push(claim),
            }
        }
        claims = left;
    }
    Err(Failed::Silent("what is claimed changes all the time".into()))
}

/// Who else has a key that `claim` asks for.
fn others(shared: &Shared, there: &[Kv], claim: &NodeClaim, key: &Key) -> Option<(Key, Claim)> {
    let text = shared.space.write(key);
    let other = owner(there.iter().find(|kv| kv.key() == text)?);
    let theirs = other.host != shared.join.host || shared.has_other(key, &other, claim);
    theirs.then(|| (key.clone(), other))
}

/// Whose a key is; nobody's by name where that cannot be read.
fn owner(kv: &Kv) -> Claim {
    serde_json::from_slice(&kv.value).unwrap_or_else(|_| Claim {
        host: "?".into(),
        node: "something unreadable".into(),
        ips: Default::default(),
        macs: Vec::new(),
        tags: None,
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

/// The nodes of other hosts, with their names: of one name there may be one in each network.
pub(crate) fn beyond(joined: &[Joined]) -> Vec<(String, Remote)> {
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
        check_room(&claim)?;
        let what = format!("node {} cannot be claimed", claim.node);
        let silent = |why: String| Failed::Silent(why).to_error(self.space.network(), &what);
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
        let mut etcd = Etcd::new(self.join.members.clone(), Arc::clone(&self.join.access));
        let made = super::enter::runtime().and_then(|runtime| {
            let made = runtime.block_on(make((&mut etcd, self), &claim, lease));
            match made {
                Ok(Outcome::Made) => Ok(()),
                Ok(Outcome::Taken(key, other)) => Err(taken(self, &key, &other)),
                Err(failed) if failed.is_missing() => {
                    Err(silent("this host's lease has run out, and another is asked for".into()))
                }
                Err(failed) => {
                    // The next one does not wait as long before the agent has found out.
                    let told = (super::enter::now(), failed.to_string());
                    self.status().alone.get_or_insert(told);
                    Err(failed.to_error(self.space.network(), &what))
                }
            }
        });
        if made.is_err() {
            self.wanted().remove(&claim.node);
        }
        made
    }
}

#[cfg(test)]
mod tests;
