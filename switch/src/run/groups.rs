//! What a worker does about groups: frames that are read before they are decided, what the switch
//! says of its own because of them, and the clock of memberships and queries.
//!
//! Called for group frames of networks that read them, and by the first worker's timers.

use std::time::Duration;

use wire::{Timestamp, VlanId, VnetHeader};

use super::config::Event;
use super::link::Link;
use super::outbox::Place;
use super::worker::Worker;
use crate::core::{Decision, Exit, Frame, Loop, PortId};
use crate::tap::{Outcome, TapRecord};

/// How soon memberships are looked at again: what another worker has heard may be due.
const LOOK: Duration = Duration::from_secs(1);

impl<L: Link> Worker<L> {
    /// Decides a frame by all it says.
    #[inline(never)]
    pub(super) fn decide_reading(
        &mut self,
        place: Place,
        header: &Frame,
        ingress: PortId,
        now: Timestamp,
    ) -> Decision {
        let slot = self.links.slot(place);
        let bytes = slot.and_then(|(_, data)| data.get(sys::packet::VNET_LEN..));
        self.bridge.decide_reading(header, bytes.unwrap_or_default(), ingress, now, &mut self.path)
    }

    /// Says what the decision has the switch say. While a tap is set it is kept, for [`Self::show_said`].
    #[cold]
    pub(super) fn say(&mut self) {
        for (bytes, exit) in self.path.take_said() {
            let Exit { port, tagging } = exit;
            self.links.copy(&self.ports, VnetHeader::default(), &bytes, tagging.tags(None), port);
            if self.tap.is_some() {
                self.said.push((bytes, exit));
            }
        }
    }

    /// Shows the tap what the switch has said, behind the frame that it answers.
    #[inline]
    pub(super) fn show_said(&mut self) {
        let Some(tap) = self.tap.as_deref().filter(|_| !self.said.is_empty()) else { return };
        for (bytes, exit) in self.said.drain(..) {
            let (vnet, exits) = (VnetHeader::default(), std::slice::from_ref(&exit));
            tap.frame(&TapRecord::own(vnet, &bytes, Outcome::Said, exits));
        }
    }

    /// An address has moved, or a probe has come back: a loop is told, and broken where a probe has found
    /// it and a port is set to be shut.
    #[cold]
    pub(super) fn loop_seen(&mut self, seen: Loop, vlan: VlanId, now: Timestamp) {
        // Counted before it can be seen to be shut.
        for id in seen.ports {
            if let Some(port) = self.ports.get(id) {
                port.cells.loops.add(1);
            }
        }
        let shut = self.bridge.break_loop(&seen, vlan, now);
        let Loop { mac, ports } = seen;
        if self.events.try_send(Event::Loop { mac, vlan, ports, shut }).is_err() {
            self.cells.events_lost.add(1);
        }
    }

    /// Ports are shut and opened as the workers have agreed.
    pub(super) fn heed(&mut self, now: Timestamp) {
        if self.bridge.is_behind() {
            self.bridge.heed(now);
            self.scribe.changed(self.tap.is_some());
        }
    }

    /// Memberships end, and queries are sent.
    pub(super) fn look_at_groups(&mut self, now: Timestamp) {
        let opens = self.bridge.heed(now);
        let next = self.bridge.tick(now, &mut self.path).into_iter().chain(opens).min();
        self.say();
        self.show_said();
        self.links.flush(&self.ports, &self.cells);
        let soon = now + LOOK;
        self.next_groups = self.bridge.has_clock().then(|| next.map_or(soon, |at| at.min(soon)));
    }
}
