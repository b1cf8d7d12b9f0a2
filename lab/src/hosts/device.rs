//! The tunnel of a network as its agent keeps it: its rows, whom it lets in, and the device itself, which is
//! put back where somebody deletes it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use overlay::{FdbOp, Row};
use wire::{MacAddr, Timestamp};

use super::enter::tunnel_of;
use super::table::Table;
use super::tags::Tags;
use super::{Event, Joined, Shared};
use crate::error::Result;
use crate::lab::Lab;
use crate::tunnel::{Members, Tunnel};

/// A tunnel that an agent keeps.
pub(super) struct Device {
    table: Table,
    /// Lets in what other hosts send.
    members: Option<Arc<Members>>,
    /// Somebody has deleted it.
    gone: bool,
    /// What is wrong with it.
    pub(super) amiss: Option<String>,
}

impl Device {
    pub(super) fn new(lab: &Lab, tunnel: &Tunnel) -> Result<Self> {
        let (_, domain) = lab.network(Some(&tunnel.network))?;
        let table = Table::new(tunnel.port.index, tunnel.port.id, domain.id);
        Ok(Self { table, members: tunnel.members.clone(), gone: false, amiss: None })
    }

    /// When the kernel is to be asked next.
    pub(super) fn next(&self) -> Timestamp {
        self.table.next()
    }

    /// What these hosts send comes in, and nobody else's.
    pub(super) fn let_in(&self, ends: &BTreeSet<IpAddr>) {
        if let Some(members) = &self.members {
            members.set(ends);
        }
    }

    /// What other hosts tell of the VLANs of their nodes from now on.
    pub(super) fn heed(&mut self, tags: BTreeMap<MacAddr, Tags>) {
        self.table.heed(tags);
    }

    /// Makes its rows what they are to be, which `steps` lead to.
    pub(super) fn settle(
        &mut self,
        (lab, shared): (&Lab, &Shared),
        rows: (&BTreeSet<Row>, &[FdbOp]),
        now: Timestamp,
    ) {
        if self.gone {
            return;
        }
        let settled = self.table.settle(lab, rows, now);
        if let Ok(repairs @ 1..) = settled {
            shared.status().repairs += repairs as u64;
            tracing::warn!("network {}: {repairs} rows set again", shared.join.name);
            shared.tell(Event::Repaired(repairs));
        }
        match settled {
            Err(error) => self.amiss = Some(error.to_string()),
            // What was wrong may be so until all of it has been looked at.
            Ok(_) if self.table.looked_at(now) => self.amiss = None,
            Ok(_) => {}
        }
    }

    /// Nodes here are to find these addresses here.
    pub(super) fn leave_here(&mut self, lab: &Lab, macs: BTreeSet<MacAddr>) {
        if let Err(error) = self.table.leave_here(lab, macs) {
            self.amiss = Some(error.to_string());
        }
    }

    /// Makes the device anew where somebody has deleted it; true where it was, and nothing of what it is to
    /// have is set.
    pub(super) fn put_back(
        &mut self,
        (lab, shared): (&Arc<Lab>, &Shared),
        ends: &BTreeSet<IpAddr>,
    ) -> bool {
        if !lab.lacks_tunnel(shared) {
            return false;
        }
        self.gone = true;
        // It looks at the same packets as the one to come.
        self.members = None;
        let plugged = lab.plug_in_tunnel(&tunnel_of(shared), false);
        let device = plugged.and_then(|tunnel| Ok((Self::new(lab, &tunnel)?, tunnel.port.name)));
        match device {
            Ok((device, name)) => {
                *self = device;
                self.let_in(ends);
                let network = &shared.join.name;
                tracing::warn!("network {network}: somebody has deleted {name}: it is put back");
            }
            Err(error) => {
                let vni = shared.vni;
                self.amiss = Some(format!(
                    "somebody has deleted vxlan{vni}, and it cannot be put back yet: {error}"
                ));
            }
        }
        // Somebody may have left the network meanwhile, who found no tunnel to take out.
        if !lab.is_joined(shared) {
            let _ = lab.remove_tunnel(shared.vni);
        }
        !self.gone
    }
}

impl Shared {
    /// Says what is wrong, though all goes on: once in the log, and to who asks as long as it is so.
    pub(super) fn tell_amiss(&self, amiss: Option<String>) {
        let mut status = self.status();
        if let Some(why) = amiss.as_ref().filter(|_| status.amiss != amiss) {
            tracing::warn!("network {}: {why}", self.join.name);
        }
        status.amiss = amiss;
    }
}

impl Lab {
    fn is_joined(&self, shared: &Shared) -> bool {
        let of_it = |joined: &Joined| joined.shared.vni == shared.vni;
        self.state().joined.iter().any(of_it)
    }

    /// Whether a network that the lab is in has lost its tunnel.
    fn lacks_tunnel(&self, shared: &Shared) -> bool {
        let state = self.state();
        let is_in = state.joined.iter().any(|joined| joined.shared.vni == shared.vni);
        is_in && !state.tunnels.iter().any(|tunnel| tunnel.vni == shared.vni)
    }
}
