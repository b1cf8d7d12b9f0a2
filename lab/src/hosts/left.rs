//! What an earlier process of a lab that serves engines has left of other hosts: the rows of its tunnel's device,
//! which lies in a namespace that outlives it. They go on as long as nobody tells more.
//!
//! Names and IP addresses are not among them: questions for those go to all hosts until then.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::sync::Arc;

use ns::vxlan;
use overlay::{Row, Rows};
use wire::MacAddr;

use super::agent::Agent;
use super::enter::now;
use super::{Member, Shared};
use crate::error::Result;
use crate::lab::Lab;

impl Lab {
    /// The rows that an earlier process has left of a tunnel; to be asked before there is one anew.
    pub(super) fn rows_left(&self, shared: &Shared) -> Rows {
        let look = || -> Result<Vec<vxlan::Row>> {
            let Some(netns) = &self.switch_ns else { return Ok(Vec::new()) };
            match ns::link::find(netns.as_fd(), &format!("vxlan{}", shared.vni))? {
                Some(index) => Ok(vxlan::rows(netns.as_fd(), index)?),
                None => Ok(Vec::new()),
            }
        };
        let rows = look().unwrap_or_else(|error| {
            tracing::warn!("network {}: {error}", shared.join.name);
            Vec::new()
        });
        let rows = rows.into_iter().map(|row| Row { mac: MacAddr(row.mac), vtep: row.remote });
        Rows::left(rows, shared.join.vtep)
    }
}

impl Agent {
    /// Makes the rows what an earlier process has left, until the registry has been listed.
    pub(super) fn go_on(&mut self, lab: &Arc<Lab>) {
        if !self.left {
            return;
        }
        let now = now();
        let of = (lab, &*self.shared);
        if self.device.next() <= now {
            lab.refresh_claims(&self.shared);
        }
        let ends: BTreeSet<_> = self.rows.hosts().collect();
        if self.shared.status().members.is_empty() {
            self.device.let_in(&ends);
            let nodes = Vec::new();
            let own =
                Member { name: self.shared.join.host.clone(), vtep: self.shared.join.vtep, nodes };
            // What the others are called is not known.
            let others = ends.iter().map(|end| Member {
                name: end.to_string(),
                vtep: *end,
                nodes: Vec::new(),
            });
            let mut status = self.shared.status();
            status.members = std::iter::once(own).chain(others).collect();
            status.rows = self.rows.all().iter().filter(|row| !row.is_flood()).count();
            drop(status);
            lab.tell_gateway(&lab.state());
        }
        self.device.put_back(of, &ends);
        self.device.settle((lab, &self.shared), (self.rows.all(), &[]), now);
        // What a node here has and another host has a row for was cut off before.
        let (mut taken, mut here) = (BTreeMap::new(), BTreeSet::new());
        for claim in self.shared.wanted().values() {
            let row = claim.macs.iter().find_map(|mac| Some((mac, self.rows.end_of(*mac)?)));
            let Some((mac, end)) = row else { continue };
            taken.insert(claim.node.clone(), format!("hardware address {mac} is on host {end}"));
            here.extend(&claim.macs);
        }
        self.device.leave_here(lab, here);
        self.apart.set((lab, &self.shared), taken);
        self.tell_amiss();
    }
}
