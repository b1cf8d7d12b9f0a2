//! One frame: from its slot to its verdict, and into the queues. Counted exactly once.

use std::sync::PoisonError;

use sys::packet::Received;
use wire::{Ethernet, FrameMut, MacAddr, Timestamp, VlanId, VlanTag};

use super::config::Event;
use super::fast::Forwarded;
use super::link::Link;
use super::meta;
use super::outbox::Place;
use super::stage::Out;
use super::worker::{Held, Worker, now as clock};
use crate::core::{DropReason, Frame, Learned, Loop, PortId, Verdict};
use crate::station::{Arrival, Handling, SharedStation, Station};
use crate::tap::Outcome;

impl<L: Link> Worker<L> {
    /// Handles the frame at `place`; shows it to the tap, if there is one.
    pub(super) fn frame<'s>(
        &mut self,
        place: Place,
        shared: Option<&'s SharedStation>,
        station: &mut Held<'s>,
        at: Timestamp,
    ) {
        if self.round.is_some() && self.goes_round(place) {
            return;
        }
        if self.tap.is_some() {
            self.watched(place, shared, station, at);
        } else {
            self.process(place, shared, station, at);
        }
    }

    pub(super) fn process<'s>(
        &mut self,
        place: Place,
        shared: Option<&'s SharedStation>,
        station: &mut Held<'s>,
        now: Timestamp,
    ) -> Seen {
        self.cells.received.add(1);
        self.path.clear();
        self.repeat = None;
        let Some((received, mut view)) = self.view(place) else {
            return self.stray(DropReason::Runt);
        };
        let (vnet, vlan, len) = (view.vnet(), view.vlan, view.bytes.len());
        let header = meta::read(vnet, view.bytes, vlan);
        if let Some(short) = meta::with_short_headers(vnet, view.bytes) {
            view.set_vnet(short);
        }
        let Some(ingress) = self.ingress(place, received) else {
            return self.stray(DropReason::UnknownPort);
        };
        if let Some(member) = &mut self.member {
            member.came(ingress);
        }
        if let Some(port) = self.ports.get(ingress) {
            port.cells.rx_packets.add(1);
            port.cells.rx_bytes.add(len as u64);
            if header.as_ref().is_some_and(|header| header.dst.is_group()) {
                port.cells.rx_multicast.add(1);
            }
        }
        let mut learned = None;
        let fits = match place {
            Place::Main(ahead) => self.fits(ahead, received.ifindex, header.as_ref(), ingress, now),
            Place::Uplink(_) => true,
        };
        let outcome = match header {
            _ if received.clipped => Outcome::Dropped(DropReason::Clipped),
            _ if !fits => Outcome::Dropped(DropReason::Overload),
            None => Outcome::Dropped(DropReason::Runt),
            Some(header) if self.ports.uplink() == Some(ingress) => {
                self.at_station(place, shared, station, &header, Side::Uplink, now)
            }
            Some(header) => {
                let reads = self.bridge.reads(&header, ingress);
                let decision = match reads {
                    false => self.bridge.decide(&header, ingress, now, &mut self.path),
                    true => self.decide_reading(place, &header, ingress, now),
                };
                if let (Some(vlan), Some(port)) = (self.path.vlan(), self.ports.get(ingress)) {
                    port.cells.vlans.came(vlan, 1, len as u64);
                }
                learned = Some(decision.learned);
                self.tell(decision.learned, header.src, vlan, ingress, now);
                let verdict = (ingress, decision.verdict);
                let outcome = self.bridged((place, vlan), shared, station, &header, verdict, now);
                if reads {
                    self.say();
                    if let Some(seen) = self.path.take_loop() {
                        self.loop_seen(seen, VlanId::NONE, now);
                    }
                }
                outcome
            }
        };
        match outcome {
            Outcome::Forwarded(_) => {
                self.cells.forwarded.add(1);
                if let (Some(frame), Some(learned)) = (&header, learned) {
                    let (ifindex, exits) = (received.ifindex, self.path.exits());
                    let of = Forwarded { frame, ingress, ifindex, learned, exits };
                    self.scribe.forwarded(&of, &self.bridge, now);
                }
            }
            Outcome::Flooded => {
                self.cells.flooded.add(1);
                if let (Some(frame), Some(learned), true) = (&header, learned, self.scribe.writes())
                {
                    let (ifindex, exits) = (received.ifindex, self.path.exits());
                    let of = Forwarded { frame, ingress, ifindex, learned, exits };
                    let looked_at = (self.bridge.reads(frame, ingress), self.path.leg());
                    self.scribe.flooded(&of, looked_at, &self.bridge, now);
                }
            }
            Outcome::Members => self.cells.members.add(1),
            Outcome::Said => {} // Of the switch's own: none that comes in.
            Outcome::Station(how) | Outcome::Uplink(how) => {
                match outcome {
                    Outcome::Station(_) => self.cells.local.add(1),
                    _ => self.cells.uplink.add(1),
                }
                if let (Some(frame), Some(repeat)) = (&header, self.repeat) {
                    let learned = learned.unwrap_or(Learned::Off);
                    let ifindex = match place {
                        Place::Uplink(_) => bpf::elsewhere(received.ifindex),
                        Place::Main(_) => received.ifindex,
                    };
                    let exits = &[][..];
                    let came = Forwarded { frame, ingress, ifindex, learned, exits };
                    self.sent_on(place, came, (how, repeat), now);
                }
            }
            Outcome::Dropped(reason) => {
                self.cells.drops[reason.index()].add(1);
                if let Some(port) = self.ports.get(ingress) {
                    port.cells.drops[reason.index()].add(1);
                }
            }
        }
        Seen { ingress: Some(ingress), outcome, learned }
    }

    /// Whether a frame may go on: its port has not had its share of a ring that fills, and its flow
    /// has not overtaken it.
    fn fits(
        &mut self,
        ahead: usize,
        ifindex: u32,
        frame: Option<&Frame>,
        ingress: PortId,
        now: Timestamp,
    ) -> bool {
        let fits = self.fair.admit(ingress);
        let Some(frame) = frame.filter(|_| !fits || self.scribe.has_cuts()) else { return fits };
        let Some((received, data)) = self.links.slot(Place::Main(ahead)) else { return fits };
        let Some(view) = FrameMut::new(data, tag(received)) else { return fits };
        let seen = (frame, &*view.bytes);
        if !fits {
            self.scribe.refused(seen, ifindex, now);
        }
        fits && !self.scribe.is_late(seen, ifindex, ahead)
    }

    /// Where a frame came in.
    pub(super) fn ingress(&self, place: Place, received: Received) -> Option<PortId> {
        match place {
            Place::Main(_) => self.ports.by_ifindex(received.ifindex),
            Place::Uplink(_) => self.ports.uplink(),
        }
    }

    /// Sends a decided frame, which came with the tag `own`, along its path.
    fn bridged<'s>(
        &mut self,
        (place, own): (Place, Option<VlanTag>),
        shared: Option<&'s SharedStation>,
        station: &mut Held<'s>,
        header: &Frame,
        (ingress, verdict): (PortId, Verdict),
        now: Timestamp,
    ) -> Outcome {
        self.given(place);
        match (verdict, self.path.leg()) {
            (Verdict::Drop(reason), _) => Outcome::Dropped(reason),
            (Verdict::Local, leg) => {
                let from = Arrival { port: ingress, leg: leg.unwrap_or_default() };
                let side = Side::Bridge(from);
                self.at_station(place, shared, station, header, side, now)
            }
            (Verdict::Forward(to), _) => {
                self.links.send_all(&self.ports, place, own, &self.path);
                Outcome::Forwarded(to)
            }
            (Verdict::Flood | Verdict::Members, leg) => {
                if let Some(leg) = leg
                    && let Some(station) = lock(shared, station)
                {
                    self.show(place, own, Arrival { port: ingress, leg }, station, now);
                }
                self.links.send_all(&self.ports, place, own, &self.path);
                if verdict == Verdict::Members { Outcome::Members } else { Outcome::Flooded }
            }
        }
    }

    /// Gives a frame to the station in its slot, and sends on what the station made of it.
    fn at_station<'s>(
        &mut self,
        place: Place,
        shared: Option<&'s SharedStation>,
        station: &mut Held<'s>,
        before: &Frame,
        side: Side,
        now: Timestamp,
    ) -> Outcome {
        let Some(station) = lock(shared, station) else {
            return Outcome::Dropped(DropReason::NoStation);
        };
        let begun = self.tap.is_some().then(clock);
        let tag = match side {
            Side::Bridge(from) => self.bridge.tag_given(before.tag(), from.port),
            Side::Uplink => before.tag(),
        };
        let handling = {
            let slot = self.links.slot(place);
            let Some(mut view) = slot.and_then(|(_, data)| FrameMut::new(data, tag)) else {
                return Outcome::Dropped(DropReason::Runt);
            };
            match side {
                Side::Bridge(from) => station.on_bridge(from, &mut view, &mut self.stage, now),
                Side::Uplink => station.on_uplink(&mut view, &mut self.stage, now),
            }
        };
        self.repeat = if self.scribe.writes() { station.repeats() } else { None };
        if let Some(begun) = begun {
            self.station_time = clock().since(begun);
        }
        match handling {
            Handling::ToUplink => match self.ports.uplink() {
                Some(to) => {
                    self.cells.station_to_uplink.add(1);
                    self.links.send(&self.ports, place, to);
                }
                None => self.cells.station_lost.add(1),
            },
            Handling::ToBridge(leg) => self.rewritten(place, leg, before, now),
            Handling::ToHost(leg) => self.hand_on(place, leg, (before, tag)),
            Handling::Consumed | Handling::Drop(_) => {}
        }
        self.send_staged(now);
        match (handling, side) {
            (Handling::Drop(_), _) => Outcome::Dropped(DropReason::Station),
            (handling, Side::Bridge(_)) => Outcome::Station(handling),
            (handling, Side::Uplink) => Outcome::Uplink(handling),
        }
    }

    pub(super) fn header_after(&mut self, place: Place, before: &Frame) -> Option<Frame> {
        let (_, view) = self.view(place)?;
        let eth = Ethernet::parse(view.bytes)?;
        Some(Frame::new(eth.dst(), eth.src(), None, before.packet_len))
    }

    /// Shows a flooded frame, which came with the tag `own`, to the station: a copy, for the slot is being
    /// sent as it is.
    fn show(
        &mut self,
        place: Place,
        own: Option<VlanTag>,
        from: Arrival,
        station: &mut dyn Station,
        now: Timestamp,
    ) {
        self.scribe.ignored = None;
        let tag = self.bridge.tag_given(own, from.port);
        let Some((_, data)) = self.links.slot(place) else { return };
        let Some(copy) = self.scratch.get_mut(..data.len()) else { return };
        copy.copy_from_slice(data);
        if let Some(mut view) = FrameMut::new(copy, tag) {
            // Whatever it did to the copy, the copy goes nowhere: it answers through the stage.
            let _ = station.on_bridge(from, &mut view, &mut self.stage, now);
            self.scribe.ignored = station.ignores().filter(|_| self.scribe.writes());
            self.send_staged(now);
        }
    }

    /// Sends what the station made. While a tap is set that waits until the tap has been shown the
    /// frame it answers: `watched` does it then.
    fn send_staged(&mut self, now: Timestamp) {
        if self.tap.is_none() {
            self.send_all_staged(now);
        }
    }

    pub(super) fn send_all_staged(&mut self, now: Timestamp) {
        let mut out = Out {
            links: &mut self.links,
            bridge: &self.bridge,
            ports: &self.ports,
            cells: &self.cells,
            tap: self.tap.as_deref(),
            egress: &mut self.egress,
        };
        self.stage.send(&mut out, now);
    }

    pub(super) fn view(&mut self, place: Place) -> Option<(Received, FrameMut<'_>)> {
        let (received, data) = self.links.slot(place)?;
        Some((received, FrameMut::new(data, tag(received))?))
    }

    fn stray(&self, reason: DropReason) -> Seen {
        self.cells.drops[reason.index()].add(1);
        Seen { ingress: None, outcome: Outcome::Dropped(reason), learned: None }
    }

    fn tell(
        &mut self,
        learned: Learned,
        mac: MacAddr,
        tag: Option<VlanTag>,
        port: PortId,
        now: Timestamp,
    ) {
        if !matches!(learned, Learned::New | Learned::Locked | Learned::Moved(_)) {
            return;
        }
        let vlan = self.bridge.vlan(tag, port);
        let event = match learned {
            Learned::Moved(from) => {
                if let Some(port) = self.ports.get(port) {
                    port.cells.moved.add(1);
                }
                if self.flaps.moved(mac, vlan, [from, port], now) {
                    self.loop_seen(Loop { mac: Some(mac), ports: [from, port] }, vlan, now);
                }
                Event::Moved { mac, vlan, from, to: port }
            }
            _ => Event::Learned { mac, vlan, port },
        };
        if self.events.try_send(event).is_err() {
            self.cells.events_lost.add(1);
        }
    }
}

/// What became of a frame, and how.
pub(super) struct Seen {
    pub(super) ingress: Option<PortId>,
    pub(super) outcome: Outcome,
    pub(super) learned: Option<Learned>,
}

/// From which side a frame came to the station.
#[derive(Clone, Copy)]
enum Side {
    Bridge(Arrival),
    Uplink,
}

/// The station, locked for the rest of the batch.
fn lock<'g, 's>(
    shared: Option<&'s SharedStation>,
    held: &'g mut Held<'s>,
) -> Option<&'g mut (dyn Station + 'static)> {
    let shared = shared?;
    let guard = held.get_or_insert_with(|| shared.lock().unwrap_or_else(PoisonError::into_inner));
    Some(&mut **guard)
}

fn tag(received: Received) -> Option<VlanTag> {
    received.vlan.map(|(tpid, tci)| VlanTag { tpid, tci })
}
