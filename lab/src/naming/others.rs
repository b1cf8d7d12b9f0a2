//! The names of other hosts' nodes, where they are in a network of the lab's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use names::{Host, Place};

use super::{Medium, Naming};

impl Naming {
    /// Nodes of other hosts are in a network: those that were known before, and those there are now. A
    /// name that a node of ours has stays its own.
    pub(crate) fn others(
        &mut self,
        network: &str,
        before: &BTreeMap<String, Vec<IpAddr>>,
        after: &BTreeMap<String, Vec<IpAddr>>,
        own: &[String],
    ) {
        let id = self.number(Medium::Network(network.into()));
        let theirs = |name: &&String| !own.contains(name);
        for name in before.keys().filter(theirs).filter(|name| !after.contains_key(*name)) {
            self.change(|zone| zone.remove(name));
        }
        for (name, addresses) in after.iter().filter(|(name, _)| theirs(name)) {
            let places = addresses.iter().map(|address| Place::In(id, *address)).collect();
            let host = Host { name: name.clone(), aliases: Vec::new(), places };
            self.change(|zone| zone.put(host.clone()));
        }
        if let Err(error) = self.refresh() {
            tracing::warn!("files may not have the names of other hosts' nodes: {error}");
        }
    }
}
