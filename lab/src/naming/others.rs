//! The names of other hosts' nodes, where they are in a network of the lab's. In several networks there may be
//! one of the same name in each, so what is known of a name is kept by network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use names::{Host, NetworkId, Place};

use super::{Medium, Naming};
use crate::node::Node;

impl Naming {
    /// Nodes of other hosts are in a network: those that were known before, and those there are now. A
    /// name that a node of ours has stays its own in the networks that it is in, as long as it has it; `own`
    /// are our nodes, and whether each is a container.
    pub(crate) fn others(
        &mut self,
        network: &str,
        before: &BTreeMap<String, Vec<IpAddr>>,
        after: &BTreeMap<String, Vec<IpAddr>>,
        own: &BTreeMap<&str, (&Node, bool)>,
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
            match own.get(name.as_str()) {
                None => self.name_beyond(name),
                Some((node, true)) => self.guest(node),
                Some((node, false)) => self.put(node),
            }
        }
        if let Err(error) = self.refresh() {
            tracing::warn!("files may not have the names of other hosts' nodes: {error}");
        }
    }

    /// Where other hosts' nodes of this name are, but in these networks.
    pub(super) fn beyond(&self, name: &str, but: &BTreeSet<NetworkId>) -> Vec<Place> {
        let known = self.beyond.get(name).into_iter().flatten();
        let known = known.filter(|(id, _)| !but.contains(id));
        known.flat_map(|(id, all)| all.iter().map(|own| Place::In(*id, *own))).collect()
    }

    /// Nobody here has this name: it is that of other hosts' nodes, where there are some.
    pub(super) fn name_beyond(&mut self, name: &str) {
        let places = self.beyond(name, &BTreeSet::new());
        match places.is_empty() {
            true => self.change(|zone| zone.remove(name)),
            false => {
                let host = Host { name: name.into(), aliases: Vec::new(), places };
                self.change(|zone| zone.put(host.clone()));
            }
        }
    }
}
