//! Nodes that are cut off from other hosts, for one of them has what is theirs. Those of this host hear
//! one another as ever. It ends with the reason.

use std::collections::{BTreeMap, BTreeSet};

use switch::{PortId, Reach};

use super::{Event, Shared};
use crate::lab::Lab;

/// Those that are, with their ports.
#[derive(Debug, Default)]
pub(super) struct Apart(BTreeMap<String, Vec<PortId>>);

impl Apart {
    /// Cuts off these nodes, for these reasons, from all that is behind tunnels; those that are not among
    /// them any more are back.
    pub(super) fn set(&mut self, (lab, shared): (&Lab, &Shared), taken: BTreeMap<String, String>) {
        let before: BTreeSet<_> = self.0.keys().cloned().collect();
        let after: BTreeSet<_> = taken.keys().cloned().collect();
        // One that was taken out and added again has another port.
        for node in after.intersection(&before) {
            let ports = lab.ports_in(node, &shared.network());
            if self.0.get(node).is_some_and(|known| *known != ports) {
                ports.iter().for_each(|port| set_reach(lab, *port, Reach::Near));
                self.0.insert(node.clone(), ports);
            }
        }
        if before == after {
            shared.status().cut_off = taken;
            return;
        }
        for node in after.difference(&before) {
            let ports = lab.ports_in(node, &shared.network());
            ports.iter().for_each(|port| set_reach(lab, *port, Reach::Near));
            let why = taken.get(node).cloned().unwrap_or_default();
            let network = &shared.join.name;
            tracing::warn!("network {network}: {node} is cut off from other hosts: {why}");
            shared.tell(Event::CutOff(node.clone(), why));
            self.0.insert(node.clone(), ports);
        }
        for node in before.difference(&after) {
            self.let_back((lab, shared), node);
            shared.tell(Event::Restored(node.clone()));
        }
        shared.status().cut_off = taken;
    }

    /// All are back.
    pub(super) fn undo(&mut self, lab: &Lab, shared: &Shared) {
        for node in self.0.keys().cloned().collect::<Vec<_>>() {
            self.let_back((lab, shared), &node);
        }
    }

    fn let_back(&mut self, (lab, shared): (&Lab, &Shared), node: &str) {
        // A port that is gone may be another's by now, and its node may be called otherwise.
        let network = shared.network();
        let names = lab.nodes().into_iter().map(|node| node.name);
        let there: BTreeSet<_> = names.flat_map(|name| lab.ports_in(&name, &network)).collect();
        let ports = self.0.remove(node).unwrap_or_default();
        // Under its other name it may be cut off, too.
        let apart: BTreeSet<_> = self.0.values().flatten().copied().collect();
        let ports = ports.into_iter().filter(|port| there.contains(port) && !apart.contains(port));
        ports.for_each(|port| set_reach(lab, port, Reach::All));
    }
}

/// Sets where a port's frames may go.
fn set_reach(lab: &Lab, port: PortId, reach: Reach) {
    lab.with_switch(|switch| {
        let Some((own, _)) = switch.port(port).filter(|(own, _)| own.settings.reach != reach)
        else {
            return;
        };
        if let Err(error) = switch.change_settings(port, |own| own.reach = reach) {
            tracing::warn!("port {}: {error}", own.name);
        }
    });
}
