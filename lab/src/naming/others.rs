//! The names of other hosts' nodes, where they are in a network of the lab's. In several networks there may be
//! one of the same name in each, so what is known of a name is kept by network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use names::{Host, Place};

use super::{Medium, Naming};

impl Naming {
    /// Nodes of other hosts are in a network: those that were known before, and those there are now. A
    /// name that a node of ours has stays its own, as long as it has it.
    pub(crate) fn others(
        &mut self,
        network: &str,
        before: &BTreeMap<String, Vec<IpAddr>>,
        after: &BTreeMap<String, Vec<IpAddr>>,
        own: &[String],
    ) {
        let id = self.number(Medium::Network(network.into()));
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            let known = self.beyond.entry(name.clone()).or_default();
            match after.get(name) {
                Some(addresses) => drop(known.insert(id, addresses.clone())),
                None => drop(known.remove(&id)),
            }
            if known.is_empty() {
                self.beyond.remove(name);
            }
            if !own.contains(name) {
                self.name_beyond(name);
            }
        }
        if let Err(error) = self.refresh() {
            tracing::warn!("files may not have the names of other hosts' nodes: {error}");
        }
    }

    /// Nobody here has this name: it is that of other hosts' nodes, where there are some.
    pub(super) fn name_beyond(&mut self, name: &str) {
        let known = self.beyond.get(name).into_iter().flatten();
        let places = known.flat_map(|(id, all)| all.iter().map(|own| Place::In(*id, *own)));
        let places: Vec<_> = places.collect();
        match places.is_empty() {
            true => self.change(|zone| zone.remove(name)),
            false => {
                let host = Host { name: name.into(), aliases: Vec::new(), places };
                self.change(|zone| zone.put(host.clone()));
            }
        }
    }
}
