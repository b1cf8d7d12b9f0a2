//! Nodes that are cut off from other hosts, for one of them has what is theirs: one group of isolated
//! ports, the tunnel's among them. It ends with the reason.

use std::collections::{BTreeMap, BTreeSet};

use switch::PortId;

use super::{Event, Shared};
use crate::lab::Lab;

/// The group of isolated ports in which such a node is, and the tunnel.
const APART: u8 = 255;

/// Those that are, with their ports and what isolated them before.
#[derive(Debug, Default)]
pub(super) struct Apart(BTreeMap<String, Vec<(PortId, Option<u8>)>>);

impl Apart {
    /// Cuts off these nodes, for these reasons, from all that is behind the port `tunnel`; those that are
    /// not among them any more are back.
    pub(super) fn set(
        &mut self,
        (lab, shared): (&Lab, &Shared),
        tunnel: PortId,
        taken: BTreeMap<String, String>,
    ) {
        let before: BTreeSet<_> = self.0.keys().cloned().collect();
        let after: BTreeSet<_> = taken.keys().cloned().collect();
        if before == after {
            return;
        }
        isolate(lab, tunnel, (!after.is_empty()).then_some(APART));
        for node in after.difference(&before) {
            let ports = lab.ports_in(node, &shared.network());
            let ports = ports.into_iter().map(|port| (port, isolate(lab, port, Some(APART))));
            let ports = ports.collect();
            let why = taken.get(node).cloned().unwrap_or_default();
            let network = &shared.join.name;
            tracing::warn!("network {network}: {node} is cut off from other hosts: {why}");
            shared.tell(Event::CutOff(node.clone(), why));
            self.0.insert(node.clone(), ports);
        }
        for node in before.difference(&after) {
            // A port that is gone may be another's by now.
            let there = lab.ports_in(node, &shared.network());
            for (port, was) in self.0.remove(node).unwrap_or_default() {
                if there.contains(&port) {
                    isolate(lab, port, was);
                }
            }
            shared.tell(Event::Restored(node.clone()));
        }
        shared.status().cut_off = taken;
    }

    /// All are back.
    pub(super) fn undo(&mut self, lab: &Lab, shared: &Shared) {
        for (node, ports) in std::mem::take(&mut self.0) {
            let there = lab.ports_in(&node, &shared.network());
            for (port, was) in ports.into_iter().filter(|(port, _)| there.contains(port)) {
                isolate(lab, port, was);
            }
        }
    }
}

/// Sets the group of isolated ports that one is in; the group it was in.
fn isolate(lab: &Lab, port: PortId, group: Option<u8>) -> Option<u8> {
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
