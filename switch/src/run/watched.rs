//! One frame while a tap is set: the same way as without, and then told with all that is known of it.
//!
//! Called by `frame` instead of `process`. What is not needed to forward (ages in the table, times,
//! the bytes as they came) is gathered here, so that without a tap none of it is, nor for a frame
//! that the tap does not want.

use std::any::Any;
use std::time::Duration;

use wire::{Ethernet, MacAddr, Timestamp, VlanId};

use super::frame::Seen;
use super::link::Link;
use super::meta;
use super::outbox::Place;
use super::worker::{Held, Worker, now};
use crate::core::{DropReason, Exit, FdbEntry, Frame, Tagging};
use crate::station::{Handling, SharedStation};
use crate::tap::{Outcome, Tap, TapRecord};

impl<L: Link> Worker<L> {
    /// The same as `process`, told to the tap with the bytes before and after.
    pub(super) fn watched<'s>(
        &mut self,
        place: Place,
        shared: Option<&'s SharedStation>,
        station: &mut Held<'s>,
        at: Timestamp,
    ) {
        let Some(tap) = self.tap.clone() else { return };
        if !self.is_wanted(&*tap, place) {
            self.process(place, shared, station, at);
            self.show_said();
            return self.send_all_staged(at);
        }
        let mut before = std::mem::take(&mut self.before);
        before.clear();
        let seen = self.view(place).map(|(received, view)| {
            before.extend_from_slice(view.bytes);
            (received, view.vnet(), view.vlan)
        });
        let header = seen.and_then(|(_, vnet, vlan)| meta::read(vnet, &before, vlan));
        let port = seen.and_then(|(received, ..)| self.ingress(place, received));
        let known = |worker: &Self, mac: fn(Frame) -> MacAddr| {
            let (header, port) = (header?, port?);
            worker.bridge.entry(mac(header), header.tag(), port, at)
        };
        let source = known(self, |header| header.src);
        let mut target = known(self, |header| header.dst);
        self.station_time = Duration::ZERO;
        let begun = now();
        let Seen { ingress, outcome, learned } = self.process(place, shared, station, at);
        let spent = now().since(begun);
        if let Some((received, vnet, vlan)) = seen {
            let mut egress = std::mem::take(&mut self.egress);
            let came = Came { header, outcome };
            let rewritten = self.targets(place, &came, &mut egress, &mut target, at);
            let station_time = self.station_time;
            let after = rewritten.then(|| self.view(place)).flatten();
            tap.frame(&TapRecord {
                taken: received.taken,
                spent,
                station: station_time,
                ingress,
                vlan,
                vnet,
                before: &before,
                wire_len: received.wire_len,
                outcome,
                learned,
                source,
                target,
                note: note(station, &came),
                egress: &egress,
                after: after.map(|(_, view)| &*view.bytes),
            });
            egress.clear();
            self.egress = egress;
        }
        self.before = before;
        // What the switch and the station answered, behind what they answer.
        self.show_said();
        self.send_all_staged(at);
    }

    /// Whether the tap wants a frame as it came, or may want what the station makes of it, or the
    /// ports' VLANs.
    fn is_wanted(&mut self, tap: &dyn Tap, place: Place) -> bool {
        let Some((received, view)) = self.view(place) else { return false };
        if tap.wants(view.bytes, view.vlan, received.wire_len) {
            return true;
        }
        let dst = Ethernet::parse(view.bytes).map(|eth| eth.dst());
        let tag = view.vlan;
        let Some(ingress) = self.ingress(place, received) else { return false };
        if self.bridge.vlan(tag, ingress) != VlanId::NONE {
            return true;
        }
        let outside = Some(ingress) == self.ports.uplink();
        outside || dst.is_some() && dst == self.bridge.local(ingress)
    }

    /// The ways a frame went; true where the station rewrote it.
    fn targets(
        &mut self,
        place: Place,
        came: &Came,
        egress: &mut Vec<Exit>,
        target: &mut Option<FdbEntry>,
        now: Timestamp,
    ) -> bool {
        let Some(header) = came.header else { return false };
        match came.outcome {
            Outcome::Forwarded(_) | Outcome::Flooded | Outcome::Members => {
                egress.extend(self.path.exits())
            }
            Outcome::Station(Handling::ToUplink) | Outcome::Uplink(Handling::ToUplink) => {
                let exit = |port| Exit { port, tagging: Tagging::Keep };
                egress.extend(self.ports.uplink().map(exit));
                return true;
            }
            Outcome::Station(Handling::ToBridge(leg))
            | Outcome::Uplink(Handling::ToBridge(leg)) => {
                let Some(after) = self.header_after(place, &header) else { return true };
                *target = self.bridge.entry_at(after.dst, leg, now);
                egress.extend(self.path.exits());
                return true;
            }
            Outcome::Station(Handling::ToHost(_)) => egress.extend(self.path.exits()),
            Outcome::Said | Outcome::Station(_) | Outcome::Uplink(_) | Outcome::Dropped(_) => {}
        }
        false
    }
}

/// A frame that has been through.
struct Came {
    header: Option<Frame>,
    outcome: Outcome,
}

/// What the station says of the frame, if it was given it.
fn note<'a>(station: &'a Held<'_>, came: &Came) -> Option<&'a dyn Any> {
    let group = came.header.is_some_and(|header| header.dst.is_group());
    let met = match came.outcome {
        Outcome::Station(_) | Outcome::Uplink(_) | Outcome::Dropped(DropReason::Station) => true,
        Outcome::Flooded | Outcome::Members => group,
        Outcome::Forwarded(_) | Outcome::Said | Outcome::Dropped(_) => false,
    };
    station.as_ref().filter(|_| met).and_then(|station| station.note())
}
