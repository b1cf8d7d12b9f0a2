//! What the lab tells of the networks of several hosts that it is in, and leaving them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Event, OfSeveral, Remote, Status};
use crate::error::Result;
use crate::lab::Lab;

impl Status {
    /// The addresses of other hosts' nodes, by host and name.
    #[must_use]
    pub fn addresses(&self) -> BTreeMap<String, BTreeMap<String, Vec<IpAddr>>> {
        let mut all: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (name, remote) in &self.others {
            all.entry(remote.host.clone()).or_default().insert(name.clone(), remote.ips.clone());
        }
        all
    }
}

impl Lab {
    /// The networks of several hosts that etcd knows, and how things stand in each.
    #[must_use]
    pub fn hosts(&self) -> Vec<OfSeveral> {
        let state = self.state();
        let all = state.joined.iter().map(|joined| &joined.shared);
        all.map(|shared| OfSeveral {
            join: shared.join.clone(),
            vni: shared.vni,
            network: shared.network(),
            status: shared.status().clone(),
        })
        .collect()
    }

    /// The networks here that other hosts are in, and their nodes there, by name.
    #[must_use]
    pub fn remotes(&self) -> Vec<(String, BTreeMap<String, Remote>)> {
        let state = self.state();
        let all = state.joined.iter().map(|joined| &joined.shared);
        all.map(|shared| (shared.network(), shared.status().others.clone())).collect()
    }

    /// What has happened among the hosts since the last call.
    #[must_use]
    pub fn take_host_events(&self) -> Vec<Event> {
        let state = self.state();
        state.joined.iter().flat_map(|joined| joined.shared.take_events()).collect()
    }

    /// A network here leaves all that reach other hosts: its tunnels go.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn leave_hosts(&self, network: &str) -> Result<()> {
        let tunnels = self.tunnels().into_iter().filter(|tunnel| tunnel.network == network);
        tunnels.map(|tunnel| tunnel.vni).try_for_each(|vni| self.remove_tunnel(vni))
    }
}
