//! What follows from what the agent has heard: rows, claims, names, and nodes that are cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use overlay::claim::conflict;
use overlay::{FdbOp, Key, NodeClaim, Standing};
use wire::{MacAddr, Timestamp};

use super::agent::Agent;
use super::agree;
use super::claims;
use super::enter::now;
use super::etcd::{Done, MOST};
use super::http::Failed;
use super::tags::Tags;
use super::{Event, Member, Remote};
use crate::home::Home;
use crate::lab::Lab;

/// For claims between two renewals of the lease.
const SPAN: Duration = Duration::from_millis(750);
/// Claims that are made before it is asked how late it is.
pub(super) const SOME: usize = 64;
/// Times that keys are given up, while others change them.
const TRIES: usize = 3;
/// Until claims go on, where there was no time for all, and where all was done.
const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_millis(500);

impl Agent {
    /// Makes rows, claims and names what they are to be. False once the lab is gone.
    pub(super) async fn settle(&mut self) -> bool {
        let Some(lab) = self.lab.upgrade() else { return false };
        // What is known goes on while the registry cannot be listed anew, and is kept as it is to be.
        if !self.is_known() {
            self.go_on(&lab);
            return true;
        }
        let now = now();
        if self.device.next() <= now {
            lab.refresh_claims(&self.shared);
        }
        if self.listed && self.present.is_some() && self.unlike().is_some() {
            self.withdraw().await;
        }
        if self.listed && self.session.alone().is_none() && self.next_claim <= now {
            self.claim().await;
        }
        let me = &self.shared.join.host;
        let steps = self.rows.follow(&mut self.registry, me);
        // The device is new: of rows that were left nobody has been let in yet.
        let hosts = self.left || steps.iter().any(FdbOp::is_flood);
        let ends: BTreeSet<_> = self.rows.hosts().collect();
        if hosts {
            self.device.let_in(&ends);
        }
        if self.device.put_back((&lab, &self.shared), &ends) {
            self.told = None;
        }
        let told = (self.registry.revision(), self.shared.network());
        let news = self.told.as_ref() != Some(&told);
        if news {
            self.device.heed(self.tags());
        }
        self.device.settle((&lab, &self.shared), (self.rows.all(), &steps), now);
        if news {
            self.told = Some(told);
            self.tell(self.rows.all().iter().filter(|row| !row.is_flood()).count());
            self.name(&lab);
        }
        if hosts {
            lab.tell_gateway(&lab.state());
        }
        self.cut(&lab);
        self.tell_amiss();
        true
    }

    /// What other hosts tell of the VLANs of their nodes.
    fn tags(&self) -> BTreeMap<MacAddr, Tags> {
        let others = self.registry.nodes().filter(|claim| claim.host != self.shared.join.host);
        let told = others.filter_map(|claim| Some((claim, claim.tags.as_ref()?)));
        told.flat_map(|(claim, tags)| claim.addresses().map(move |mac| (mac, tags.clone())))
            .collect()
    }

    /// Whether the registry has been listed, be it long ago.
    pub(super) fn is_known(&self) -> bool {
        self.listed || self.registry.revision() > 0
    }

    /// Takes back all that this host has claimed in a network that has become another one.
    pub(super) async fn withdraw(&mut self) {
        if let Some(lease) = self.session.lease()
            && let Err(failed) = self.etcd.revoke(lease).await
        {
            return self.alone(&failed);
        }
        self.present = None;
        self.session.lost(now());
    }

    /// Claims what is not ours yet, and lets go of what nobody needs: as much as there is time for
    /// between two renewals of the lease.
    async fn claim(&mut self) {
        let Some(lease) = self.present else { return };
        let begun = now();
        self.next_claim = begun;
        if !self.stand(lease).await {
            return;
        }
        let wanted = self.shared.wanted().clone();
        let me = self.shared.join.host.clone();
        let open = wanted
            .values()
            .filter(|claim| self.registry.standing(claim, &me, lease) == Standing::Open);
        let open: Vec<_> = open.cloned().collect();
        let surplus = self.registry.surplus(&me, &wanted);
        if open.is_empty() && surplus.is_empty() && self.registry.agreed().is_some() {
            return self.taken();
        }
        let done = self.claim_all(&open, surplus, (lease, begun)).await;
        // What is done here comes back by the watch.
        self.next_claim = now() + if matches!(done, Ok(false)) { SOON } else { LATER };
        match done {
            Err(why) if why.is_missing() => self.session.lost(now()),
            Err(why) => self.alone(&why),
            Ok(_) => self.taken(),
        }
    }

    /// Whether all of it is done.
    async fn claim_all(
        &mut self,
        open: &[NodeClaim],
        surplus: Vec<(Key, i64)>,
        (lease, begun): (i64, Timestamp),
    ) -> Result<bool, Failed> {
        let is_late = || now().since(begun) > SPAN;
        if self.registry.agreed().is_none() {
            agree::agree_again(&mut self.etcd, &self.shared).await?;
        }
        for some in open.chunks(SOME) {
            if is_late() {
                return Ok(false);
            }
            // What another has is told by what the watch says.
            claims::make_many((&mut self.etcd, &*self.shared), some, lease).await?;
        }
        for some in surplus.chunks(MOST) {
            if is_late() {
                return Ok(false);
            }
            // One that was added meanwhile needs it after all.
            let needed: BTreeSet<Key> =
                self.shared.wanted().values().flat_map(NodeClaim::keys).collect();
            let idle = some.iter().filter(|(key, _)| !needed.contains(key));
            let idle: Vec<_> =
                idle.map(|(key, seen)| (self.shared.space.write(key), *seen)).collect();
            self.give_up(idle).await?;
        }
        Ok(true)
    }

    /// Takes keys out that are as they were seen; what is another by now is left to the next look.
    async fn give_up(&mut self, mut idle: Vec<(String, i64)>) -> Result<(), Failed> {
        for _ in 0..TRIES {
            if idle.is_empty() {
                break;
            }
            let Done::Refused(there) = self.etcd.delete_all(&idle).await? else { break };
            let same = |(key, seen): &(String, i64)| {
                there.iter().any(|kv| kv.key() == *key && kv.mod_revision == *seen)
            };
            idle.retain(same);
        }
        Ok(())
    }

    /// Tells how things stand, and who has come and gone.
    fn tell(&mut self, rows: usize) {
        let me = &self.shared.join.host;
        let mut members: BTreeMap<String, Member> = BTreeMap::new();
        for (name, host) in self.registry.hosts() {
            let (vtep, nodes) = (host.vtep, Vec::new());
            members.insert(name.to_owned(), Member { name: name.to_owned(), vtep, nodes });
        }
        let mut others = BTreeMap::new();
        for claim in self.registry.nodes() {
            let Some(member) = members.get_mut(claim.host.as_str()) else { continue };
            member.nodes.push(claim.node.clone());
            if claim.host != *me {
                let (ips, macs) =
                    (claim.ips.iter().copied().collect(), claim.addresses().collect());
                let (host, vtep) = (claim.host.clone(), member.vtep);
                others.insert(claim.node.clone(), Remote { host, vtep, ips, macs });
            }
        }
        let members: Vec<_> = members.into_values().collect();
        let mut status = self.shared.status();
        let known = |all: &[Member]| -> BTreeSet<_> {
            let others = all.iter().filter(|member| member.name != *me);
            others.map(|member| (member.name.clone(), member.vtep)).collect()
        };
        // What was left of others were rows: nobody was told of a host.
        let before = if std::mem::take(&mut self.left) { &[] } else { &status.members[..] };
        let (before, after) = (known(before), known(&members));
        status.members = members;
        status.others = others;
        status.rows = rows;
        status.revision = self.registry.revision();
        drop(status);
        for (name, _) in before.difference(&after) {
            self.shared.tell(Event::Went(name.clone()));
        }
        for (name, vtep) in after.difference(&before) {
            self.shared.tell(Event::Came(name.clone(), *vtep));
        }
    }

    /// Has the nodes of other hosts known by their names.
    fn name(&mut self, lab: &Lab) {
        let (others, network) = (self.shared.status().others.clone(), self.shared.network());
        if self.named_in != network {
            // Under its other name the network is a new one to the resolver.
            self.named_in.clone_from(&network);
        } else if others == self.named {
            return;
        }
        name_others(lab, &network, &self.named, &others);
        if let Err(error) = lab.tell_known() {
            tracing::warn!("questions for other hosts' nodes go on to them: {error}");
        }
        self.named = others;
    }

    /// Cuts off nodes whose claims another host has, from all other hosts; nodes that have theirs again
    /// are back.
    fn cut(&mut self, lab: &Lab) {
        let lease = self.present.unwrap_or(0);
        let me = &self.shared.join.host;
        let (mut taken, mut macs) = (BTreeMap::new(), BTreeSet::new());
        let out = self.shared.status().out.clone();
        for claim in self.shared.wanted().values() {
            if let Some(why) = &out {
                // Nothing of this host's is claimed any more.
                taken.insert(claim.node.clone(), why.clone());
            } else if let Standing::Taken(key, other) = self.registry.standing(claim, me, lease) {
                taken.insert(claim.node.clone(), conflict(&key, &other));
                macs.extend(&claim.macs);
            }
        }
        self.device.leave_here(lab, macs);
        self.apart.set((lab, &self.shared), taken);
    }

    /// Takes back what was done here for the other hosts' sake.
    pub(super) fn undo(&mut self, lab: &Lab) {
        self.apart.undo(lab, &self.shared);
        let named = std::mem::take(&mut self.named);
        name_others(lab, &self.shared.network(), &named, &BTreeMap::new());
    }
}

/// Has other hosts' nodes known by their names, and those that have gone no longer.
pub(super) fn name_others(
    lab: &Lab,
    network: &str,
    before: &BTreeMap<String, Remote>,
    after: &BTreeMap<String, Remote>,
) {
    let addresses = |all: &BTreeMap<String, Remote>| {
        all.iter().map(|(name, remote)| (name.clone(), remote.ips.clone())).collect()
    };
    let state = &mut *lab.state();
    let own = state.nodes.iter().map(|held| {
        let is_guest = !matches!(held.home, Home::Own(_));
        (held.node.name.as_str(), (&held.node, is_guest))
    });
    let (before, after) = (addresses(before), addresses(after));
    state.naming.others(network, &before, &after, &own.collect());
}
