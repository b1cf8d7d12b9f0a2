//! What passes by the station's legs: sent on from its slot, and counted by VLAN where VLANs are told apart.
//! Called by `frame` for each frame that the station is given there, or has sent on.

use wire::{Timestamp, VlanTag};

use super::link::Link;
use super::outbox::Place;
use super::worker::Worker;
use crate::core::{Frame, Leg, Verdict};

impl<L: Link> Worker<L> {
    /// Sends a frame that the station rewrote to the ports of a leg's network.
    pub(super) fn rewritten(&mut self, place: Place, leg: Leg, before: &Frame, now: Timestamp) {
        let Some(after) = self.header_after(place, before) else {
            return self.cells.station_lost.add(1);
        };
        let verdict = self.bridge.send(&after, leg, now, &mut self.path);
        self.said(place, leg);
        match verdict {
            Verdict::Forward(_) | Verdict::Flood | Verdict::Members => {
                self.links.send_all(&self.ports, place, None, &self.path);
                self.cells.station_to_bridge.add(1);
            }
            Verdict::Local | Verdict::Drop(_) => self.cells.station_lost.add(1),
        }
    }

    /// Sends a frame on to the host that has the station's address too, with the tag that the station
    /// was given it with.
    pub(super) fn hand_on(
        &mut self,
        place: Place,
        leg: Leg,
        (frame, tag): (&Frame, Option<VlanTag>),
    ) {
        match self.bridge.send_to_host(frame, leg, &mut self.path) {
            Verdict::Forward(_) => {
                self.links.send_all(&self.ports, place, tag, &self.path);
                self.cells.station_to_bridge.add(1);
            }
            _ => self.cells.station_lost.add(1),
        }
    }

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
