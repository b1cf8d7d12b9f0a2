//! Loops, as a bridge sees them: probes that leave by its ports, and the port of a loop that is shut.
//!
//! Called by the first worker's clock, and by whoever has seen a loop ([`super::Loop`]).

use wire::{Timestamp, VlanId};

use super::bridge::{Bridge, Port};
use super::loops::Loop;
use super::network::Network;
use super::path::{Exit, Path, Tagging};
use super::port::PortId;

impl Bridge {
    /// Shuts a port of a loop that a probe has found, if one of the two is set to be: the later one in the
    /// order of their numbers, so that whoever sees the loop chooses the same. Where an address of a VLAN
    /// has moved, probes are to find it: any node can speak by another's address.
    pub fn break_loop(&self, seen: &Loop, vlan: VlanId, now: Timestamp) -> Option<PortId> {
        let protects =
            |id: &&PortId| self.get(**id).is_some_and(|port| port.state.settings.loop_protect);
        if seen.mac.is_some() {
            let suspects = seen.ports.iter().filter(protects);
            suspects.for_each(|id| self.guards.suspect(*id, vlan, now));
            return None;
        }
        let chosen = seen.ports.iter().filter(protects).max().copied()?;
        self.guards.shut(chosen, now);
        // As where its link goes down; and no copy of what was known there is gone by any more. Whoever
        // was heard by the other end of the loop is somewhere else, perhaps.
        for id in seen.ports {
            self.fdb().flush(Some(id));
            if id != chosen {
                self.guards.echoes(id, now);
            }
        }
        Some(chosen)
    }

    /// Probes for loops, where ports look for them.
    pub(super) fn probe(&self, network: &Network, now: Timestamp, path: &mut Path) {
        for id in &network.plugged {
            let Some(port) = self.get(*id) else { continue };
            // As the nodes' frames do, or the other side would drop it where a loop lets those pass.
            let tagging = match &network.config.vlans {
                None => Some(Tagging::Keep),
                Some(filter) => port.state.vlans.of_own(filter.protocol),
            };
            self.probe_at((*id, port), tagging, now, path);
        }
    }

    /// Probes in VLANs of which an address has moved to and fro.
    pub(super) fn probe_suspects(&self, now: Timestamp, path: &mut Path) {
        for (id, vlan) in self.guards.suspected(now) {
            let Some(port) = self.get(id) else { continue };
            let lane = self.network(port.state.network).and_then(|network| network.lane(vlan));
            let tagging = lane.and_then(|lane| match &lane.vlan {
                None => Some(Tagging::Keep),
                Some(carried) => port.state.vlans.egress(carried),
            });
            self.probe_at((id, port), tagging, now, path);
        }
    }

    fn probe_at(
        &self,
        (id, port): (PortId, &Port),
        tagging: Option<Tagging>,
        now: Timestamp,
        path: &mut Path,
    ) {
        let state = &port.state;
        let looks = state.settings.loop_protect && state.up && !self.guards.is_shut(id, now);
        if let Some(tagging) = tagging.filter(|_| looks) {
            let by = state.mac.unwrap_or_else(|| self.guards.speaks_by(id));
            path.say(self.guards.probe(by, id, now), Exit { port: id, tagging });
        }
    }
}
