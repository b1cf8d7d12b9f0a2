//! What passes by the station's legs, counted by VLAN where VLANs are told apart. Called by `frame` for
//! each frame that the station is given in its slot, or has sent on.

use super::link::Link;
use super::outbox::Place;
use super::worker::Worker;
use crate::core::Leg;

impl<L: Link> Worker<L> {
    /// The station is given the frame in a slot, or a copy, where its path says so.
    pub(super) fn given(&mut self, place: Place) {
        if let (Some(vlan), Some(leg)) = (self.path.vlan(), self.path.leg()) {
            let bytes = self.length(place);
            self.cells.legs.given((leg, vlan), 1, bytes);
        }
    }

    /// The station has said what is in a slot now, by a leg; whatever becomes of it.
    pub(super) fn said(&mut self, place: Place, leg: Leg) {
        if let Some(vlan) = self.path.vlan() {
            let bytes = self.length(place);
            self.cells.legs.said((leg, vlan), 1, bytes);
        }
    }

    fn length(&mut self, place: Place) -> u64 {
        self.view(place).map_or(0, |(_, view)| view.bytes.len() as u64)
    }
}
