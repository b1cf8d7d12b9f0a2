//! What follows from what the agent has heard: rows, claims, names, and nodes that are cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use overlay::Standing;
use overlay::claim::conflict;
use switch::PortId;

use super::agent::Agent;
use super::claims::{self, Outcome};
use super::enter::now;
use super::{Event, Member};
use crate::lab::Lab;

/// The group of isolated ports in which a node is that is cut off from other hosts, and the tunnel.
const APART: u8 = 255;

impl Agent {
    /// Makes rows, claims and names what they are to be. False once the lab is gone.
    pub(super) async fn settle(&mut self) -> bool {
        let Some(lab) = self.lab.upgrade() else { return false };
        if !self.listed {
            return true;
        }
        let now = now();
        if self.table.next() <= now {
            lab.refresh_claims(&self.shared);
        }
        if self.session.alone().is_none() && self.next_claim <= now {
            self.claim().await;
        }
        let me = &self.shared.join.host;
        let desired = self.registry.desired(me);
        let rows = desired.rows();
        match self.table.settle(&lab, rows, now) {
            Ok(0) => {}
            Ok(repairs) => {
                self.shared.status().repairs += repairs as u64;
                tracing::warn!("network {}: {repairs} rows set again", self.shared.join.name);
                self.shared.tell(Event::Repaired(repairs));
            }
            Err(error) => tracing::warn!("network {}: {error}", self.shared.join.name),
        }
        self.tell(desired.macs.len());
        self.name(&lab);
        self.cut(&lab);
        true
    }

    /// Claims what is not ours yet, and lets go of what nobody needs.
    async fn claim(&mut self) {
        let Some(lease) = self.present else { return };
        let wanted = self.shared.wanted().clone();
        let me = self.shared.join.host.clone();
        let open = wanted
            .values()
            .filter(|claim| self.registry.standing(claim, &me, lease) == Standing::Open);
        let open: Vec<_> = open.cloned().collect();
        let surplus = self.registry.surplus(&me, &wanted);
        if open.is_empty() && surplus.is_empty() {
            return;
        }
        // What is done here comes back by the watch.
        self.next_claim = now() + Duration::from_millis(500);
        let of = (&mut self.etcd, &*self.shared);
        let mut failed = None;
        match claims::make_many(of, &open, lease).await {
            Ok(refused) => {
                for claim in refused {
                    let of = (&mut self.etcd, &*self.shared);
                    match claims::make(of, claim, lease).await {
                        Ok(Outcome::Made | Outcome::Taken(..)) => {}
                        Err(why) => failed = Some(why),
                    }
                }
            }
            Err(why) => failed = Some(why),
        }
        for (key, seen) in surplus {
            // One that was added meanwhile needs it after all.
            if !self.shared.wanted().values().any(|claim| claim.keys().contains(&key)) {
                let done = self.etcd.delete(&self.shared.space.write(&key), seen).await;
                failed = failed.or(done.err());
            }
        }
        match failed {
            Some(why) if why.is_missing() => self.session.lost(now()),
            Some(why) => self.alone(&why),
            None => {}
        }
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
                others.insert(claim.node.clone(), claim.ips.iter().copied().collect());
            }
        }
        let members: Vec<_> = members.into_values().collect();
        let mut status = self.shared.status();
        let known = |all: &[Member]| -> BTreeSet<_> {
            let others = all.iter().filter(|member| member.name != *me);
            others.map(|member| (member.name.clone(), member.vtep)).collect()
        };
        let (before, after) = (known(&status.members), known(&members));
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
        let others = self.shared.status().others.clone();
        if others != self.named {
            let mut state = lab.state();
            let own: Vec<_> = state.nodes.iter().map(|held| held.node.name.clone()).collect();
            state.naming.others(&self.shared.network, &self.named, &others, &own);
            drop(state);
            self.named = others;
        }
    }

    /// Cuts off nodes whose claims another host has, from all other hosts; nodes that have theirs again
    /// are back.
    fn cut(&mut self, lab: &Lab) {
        let lease = self.present.unwrap_or(0);
        let me = &self.shared.join.host;
        let mut taken = BTreeMap::new();
        for claim in self.shared.wanted().values() {
            if let Standing::Taken(key, other) = self.registry.standing(claim, me, lease) {
                taken.insert(claim.node.clone(), conflict(&key, &other));
            }
        }
        let before: BTreeSet<_> = self.apart.keys().cloned().collect();
        let after: BTreeSet<_> = taken.keys().cloned().collect();
        if before == after {
            return;
        }
        self.isolate(lab, self.table.port(), (!after.is_empty()).then_some(APART));
        for node in after.difference(&before) {
            let ports = lab.ports_in(node, &self.shared.network);
            let ports = ports.into_iter().map(|port| (port, self.isolate(lab, port, Some(APART))));
            let ports = ports.collect();
            let why = taken.get(node).cloned().unwrap_or_default();
            let network = &self.shared.join.name;
            tracing::warn!("network {network}: {node} is cut off from other hosts: {why}");
            self.shared.tell(Event::CutOff(node.clone(), why));
            self.apart.insert(node.clone(), ports);
        }
        for node in before.difference(&after) {
            // A port that is gone may be another's by now.
            let there = lab.ports_in(node, &self.shared.network);
            for (port, was) in self.apart.remove(node).unwrap_or_default() {
                if there.contains(&port) {
                    self.isolate(lab, port, was);
                }
            }
            self.shared.tell(Event::Restored(node.clone()));
        }
        self.shared.status().cut_off = taken;
    }

    /// Sets the group of isolated ports that one is in; the group it was in.
    fn isolate(&self, lab: &Lab, port: PortId, group: Option<u8>) -> Option<u8> {
        let was = lab.with_switch(|switch| {
            let own = switch.ports().into_iter().find(|info| info.id == port)?;
            let mut settings = own.spec.settings;
            let was = std::mem::replace(&mut settings.isolation, group);
            if let Err(error) = switch.set_settings(port, settings) {
                tracing::warn!("port {}: {error}", own.spec.name);
            }
            was
        });
        was.flatten()
    }
}
