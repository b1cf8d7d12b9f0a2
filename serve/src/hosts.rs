//! Networks whose containers are on several hosts: a network joins with its making, or it is not made;
//! one that was taken on from an earlier process joins again behind its containers, whether etcd answers
//! or not, so that what they have is claimed and nothing of it is given up. Where this host does not let
//! it join (no way to the others yet, a certificate that cannot be read) it is tried again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use engine::{Joins, Refusal};
use topology::Address;
use topology::join::Join;

use crate::daemon::{Daemon, refusal};
use crate::error::{Error, Result as Tried};
use crate::store::{Kept, Reached};

/// How long to wait before a network is tried again, at first and at most.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(30);

impl Daemon {
    /// Makes a network that was not there, in the lab and among the hosts that it is to reach.
    pub(crate) fn make_new(&self, kept: &mut Kept) -> Result<String, Refusal> {
        let (usual, end) = &self.usual;
        let join = Joins::resolve(kept.network.options.join.as_ref(), usual.as_ref())?;
        // What is there says that the host's port lets our resolver have questions.
        let (vni, mtu) = (0, u32::MAX);
        kept.reached = join.clone().map(|join| Reached { join, vni, mtu });
        let name = self.make_network(kept)?;
        let Some(join) = join else { return Ok(name) };
        match self.lab.reach(&join, Some(&name), end) {
            Ok(tunnel) => {
                kept.reached = Some(Reached { join, vni: tunnel.vni, mtu: tunnel.mtu });
                Ok(name)
            }
            Err(error) => {
                let undone = self.lab.detach_host(&name);
                if let Err(left) = undone.and_then(|()| self.lab.remove_network(&name)) {
                    tracing::error!("network {name} is left half-way: {left}");
                }
                Err(self.no_reach(&error, &join))
            }
        }
    }

    /// Why a network does not reach other hosts, and what to say where the server's own word was meant
    /// for another one.
    fn no_reach(&self, error: &lab::Error, join: &Join) -> Refusal {
        let Refusal(why) = refusal(error);
        let there = match join {
            Join::Etcd(own) => {
                let is = |join: &lab::hosts::Join| {
                    (join.kind, &join.name) == (lab::hosts::Kind::Etcd, &own.name)
                };
                self.lab.hosts().iter().any(|joined| is(&joined.join))
            }
            Join::Named(own) => self.lab.tunnels().iter().any(|tunnel| tunnel.vni == own.vni),
            Join::Bgp(own) => self.lab.tunnels().iter().any(|tunnel| tunnel.vni == own.vni),
        };
        match there {
            true => Refusal(format!(
                "{why}; -o uswitch.join=NAME joins another network there, -o uswitch.join=none no other host"
            )),
            false => Refusal(why),
        }
    }

    /// Networks taken on from the disk reach other hosts again, now or as soon as this host lets them.
    ///
    /// # Errors
    /// Where the thread cannot be had that tries again.
    pub(crate) fn reach_again(self: &Arc<Self>) -> Tried<()> {
        let all: Vec<String> = self.tables().networks.keys().cloned().collect();
        let mut left: BTreeMap<String, String> =
            all.into_iter().map(|network| (network, String::new())).collect();
        self.reach_those(&mut left);
        if left.is_empty() {
            return Ok(());
        }
        let daemon = Arc::downgrade(self);
        let run = move || reach_later(&daemon, left);
        let spawned = thread::Builder::new().name("reach".into()).spawn(run);
        spawned.map(drop).map_err(|error| Error::Thread("networks to reach other hosts", error))
    }

    /// Tries these once; those stay, each with its reason, that may reach other hosts later.
    fn reach_those(&self, left: &mut BTreeMap<String, String>) {
        left.retain(|id, before| {
            // None is made or removed meanwhile.
            let _coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
            let known = self.tables().networks.get(id).cloned();
            let Some((Kept { reached: Some(reached), .. }, name)) = known else { return false };
            if self.lab.tunnels().iter().any(|tunnel| tunnel.vni == reached.vni) {
                // One of the same number was made anew meanwhile.
                return false;
            }
            let join = self.as_is_now(&reached.join);
            match self.lab.reach_again(&join, (Some(&name), reached.vni), &self.usual.1) {
                Ok(_) if before.is_empty() => false,
                Ok(_) => {
                    tracing::info!("network {name} reaches other hosts again");
                    false
                }
                Err(error) => {
                    let Refusal(why) = refusal(&error);
                    if why != *before {
                        tracing::error!(
                            "network {name} reaches no other host, and is tried again: {why}"
                        );
                        *before = why;
                    }
                    true
                }
            }
        });
    }

    /// A cluster may have other members by now, or let in otherwise: where the server is told of the same
    /// network, its word counts.
    fn as_is_now(&self, join: &Join) -> Join {
        match (join, &self.usual.0) {
            (Join::Etcd(kept), Some(Join::Etcd(usual))) if usual.name == kept.name => {
                let (members, access) = (usual.members.clone(), usual.access.clone());
                Join::Etcd(topology::join::Etcd { members, access, ..kept.clone() })
            }
            _ => join.clone(),
        }
    }
}

/// Tries until all reach other hosts, or are no more.
fn reach_later(daemon: &Weak<Daemon>, mut left: BTreeMap<String, String>) {
    let mut pause = SOON;
    while !left.is_empty() {
        thread::sleep(pause);
        pause = (pause * 2).min(LATER);
        let Some(daemon) = daemon.upgrade() else { return };
        daemon.reach_those(&mut left);
    }
}

/// An error of the lab's where a container asks for a place with these addresses: engines on several
/// hosts give out the same ones, each by itself.
pub(crate) fn taken(error: &lab::Error, addresses: &[Address]) -> Refusal {
    let Refusal(why) = refusal(error);
    let is = |ip: IpAddr| why.starts_with(&format!("{ip} is "));
    match error {
        lab::Error::Claimed(_) if addresses.iter().any(|own| is(own.ip)) => Refusal(format!(
            "{why}, or give each host's network a range of its own (docker network create --ip-range)"
        )),
        _ => Refusal(why),
    }
}
