//! Which networks a node is in that asks for names: in all of them, whichever its question comes by, for a
//! C library asks the first server of its list alone where that says that there is no such name.

use std::collections::BTreeSet;

use super::Naming;
use crate::node::Node;
use crate::station;

impl Naming {
    /// The resolver knows the networks of a node by the ports that its questions come by.
    pub(super) fn set_asker(&mut self, node: &Node) {
        self.forget_asker(&node.name);
        let networks = node.interfaces.iter().filter_map(|interface| self.joined(interface));
        let networks: BTreeSet<_> = networks.collect();
        let numbers: Vec<_> = node.ports().map(|port| station::asker(port.id)).collect();
        self.change(|zone| {
            for number in &numbers {
                zone.set_asker(*number, networks.clone());
            }
        });
        self.askers.insert(node.name.clone(), numbers);
    }

    /// It asks no more, or by other ports.
    pub(super) fn forget_asker(&mut self, name: &str) {
        let Some(numbers) = self.askers.remove(name) else { return };
        self.change(|zone| {
            for number in &numbers {
                zone.set_asker(*number, BTreeSet::new());
            }
        });
    }
}
