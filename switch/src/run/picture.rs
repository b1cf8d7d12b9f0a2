//! The handle's own bridge, to ask what the workers' would decide.

use std::sync::Arc;

use wire::Timestamp;

use super::ports::PortRole;
use super::switch::Switch;
use crate::core::{Bridge, NetworkId, Shared};

impl Switch {
    /// The bridge as it is now, over the same table: to ask what it would decide. Deciding by it
    /// teaches the table; storm control starts anew.
    #[must_use]
    pub fn picture(&self) -> Bridge {
        let networks = self.networks();
        let first = networks.get(&NetworkId::FIRST).cloned().unwrap_or_default();
        let shared = Shared { guards: Arc::clone(&self.guards), ..Shared::default() };
        let mut bridge = Bridge::counting(first, Arc::clone(&self.fdb), shared);
        for (id, config) in networks.iter() {
            bridge.set_network(*id, config.clone());
            bridge.set_neighbours(*id, self.neighbours(*id));
        }
        for (id, port) in self.lock().iter() {
            if port.spec.role == PortRole::Bridged {
                bridge.set_port(*id, port.state());
            }
        }
        // Its ports are no news to the groups.
        networks.keys().for_each(|id| bridge.set_groups(*id, self.snoops.get(*id)));
        bridge.heed(Timestamp::from_nanos(sys::clock::now()));
        bridge
    }
}
