//! The gateway itself: one value that owns every table, is given frames and the time, and answers
//! with verdicts.
//!
//! [`Gateway::from_lan`] and [`Gateway::from_uplink`] take a frame each, [`Gateway::tick`] what
//! is due; the rest is for `show`, `nat flush` and `-p`. The paths themselves are in `lan`,
//! `uplink`, `local` and `egress`. Nothing here can fail: what does not fit is dropped and counted.

use std::net::Ipv4Addr;

use wire::{Ethernet, FrameMut, MacAddr, Timestamp, VnetHeader, ethertype};

use crate::config::{Config, Lan, Uplink, UplinkAddress};
use crate::counters::Counters;
use crate::ipid::Identification;
use crate::limit::Limiter;
use crate::nat::Nat;
use crate::nat::fragments::{Action, Datagram, Fragments};
use crate::nat::publish::Published;
use crate::nat::snapshot::{Cursor, Event, SessionView};
use crate::nat::unsolicited::Unsolicited;
use crate::neighbour::{NeighbourView, Neighbours};
use crate::node::Node;
use crate::note::{Note, Notes};
use crate::output::Output;
use crate::packet::{Endpoint, Packet, Protocol};
use crate::route::{RouteView, Routes};
use crate::verdict::{DropReason, Side, Verdict};

/// The LAN's router.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) lan: Lan,
    pub(crate) uplink: Option<Uplink>,
    pub(crate) routes: Routes,
    pub(crate) nat: Nat,
    pub(crate) neighbours: [Neighbours; 2],
    pub(crate) fragments: Fragments,
    pub(crate) ids: Identification,
    /// One a side: what the outside provokes leaves the inside its errors.
    pub(crate) limiters: [Limiter; 2],
    pub(crate) unsolicited: Unsolicited,
    pub(crate) counters: Counters,
    pub(crate) notes: Notes,
    /// Where additional frames are put together.
    pub(crate) scratch: Vec<u8>,
    pub(crate) segment: Vec<u8>,
}

/// A packet on its way through, with where it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) side: Side,
    /// The node it came from; nobody where it came from outside.
    pub(crate) node: Node,
    /// The station that sent it: errors about it go back there.
    pub(crate) from: MacAddr,
    /// Which datagram it is of, as it came.
    pub(crate) datagram: Datagram,
    pub(crate) packet: Packet,
}

impl Gateway {
    /// A gateway with empty tables. `seed` makes its choices unpredictable to others; equal seeds
    /// make equal choices.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let Config { lan, uplink, nat, limits } = config;
        let address = uplink.as_ref().and_then(|u| u.address);
        let ports = uplink.as_ref().map_or(1..=65535, |u| u.ports.clone());
        let side = |purpose| {
            Neighbours::new(limits.neighbours, limits.neighbour_queue_bytes, seed, purpose)
        };
        Self {
            routes: Routes::new(&lan, address),
            nat: Nat::new(&nat, &ports, limits, seed),
            neighbours: [side(70), side(71)],
            fragments: Fragments::new(limits, seed),
            ids: Identification::new(seed),
            limiters: [Limiter::new(seed), Limiter::new(seed)],
            unsolicited: Unsolicited::new(limits.pending_syns),
            counters: Counters::default(),
            notes: Notes::default(),
            scratch: Vec::with_capacity(2048),
            segment: Vec::with_capacity(2048),
            lan,
            uplink,
        }
    }

    /// A frame from the LAN, whose nodes nobody tells apart: [`Gateway::from_node`] for all of it.
    pub fn from_lan(
        &mut self,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Verdict {
        self.from_node(Node::NOBODY, frame, out, now)
    }

    /// A frame from one of the LAN's nodes.
    pub fn from_node(
        &mut self,
        node: Node,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Verdict {
        self.counters.lan_in += 1;
        self.enter((Side::Lan, node), frame, out, now)
    }

    /// A frame from the uplink.
    pub fn from_uplink(
        &mut self,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Verdict {
        self.counters.uplink_in += 1;
        self.enter((Side::Uplink, Node::NOBODY), frame, out, now)
    }

    fn enter(
        &mut self,
        from: (Side, Node),
        frame: &mut FrameMut<'_>,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Verdict {
        self.notes.begin();
        let verdict = self.frame(from, frame, out, now).unwrap_or_else(Verdict::Drop);
        self.notes.end(verdict);
        self.counters.count(verdict);
        verdict
    }

    fn frame(
        &mut self,
        (side, node): (Side, Node),
        frame: &mut FrameMut<'_>,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        let ethernet = Ethernet::parse(frame.bytes).ok_or(DropReason::Runt)?;
        // A priority tag names no VLAN.
        if frame.vlan.is_some_and(|tag| tag.id().get() != 0) {
            return Err(DropReason::Tagged);
        }
        match ethernet.ethertype() {
            ethertype::ARP => return self.arp((side, node), &ethernet, out, now),
            ethertype::IPV4 => {}
            ethertype::VLAN | ethertype::QINQ => return Err(DropReason::Tagged),
            _ => return Err(DropReason::NotIpv4),
        }
        let (from, to) = (ethernet.src(), ethernet.dst());
        if to != self.mac(side) || from.is_group() {
            return Err(DropReason::NotForMe);
        }
        let packet = Packet::read(frame)?;
        let datagram = Datagram::of(side, node, &packet);
        let mut arrival = Arrival { side, node, from, datagram, packet };
        let result = match side {
            Side::Lan => self.lan_packet(frame, &mut arrival, out, now),
            Side::Uplink => self.uplink_packet(frame, &mut arrival, out, now),
        };
        if let Err(reason) = result
            && packet.more_fragments
            && packet.fragment_offset == 0
            && reason.needs_the_first()
        {
            // What became of the first fragment becomes of the others.
            let action = Action::Drop(reason);
            let held = self.fragments.first(arrival.datagram, &packet, action, now);
            self.counters.waited_in_vain += held.map_or(0, |h| h.len() as u64);
        }
        result
    }

    /// Does what is due: ends sessions, asks for neighbours again, gives up on those that do not
    /// answer. Returns when it wants to be called next.
    pub fn tick(&mut self, out: &mut dyn Output, now: Timestamp) -> Option<Timestamp> {
        let sessions = self.nat.expire(now);
        let fragments = self.fragments.expire(now);
        self.tick_neighbours(out, now);
        self.tick_unsolicited(out, now);
        let neighbours = self.neighbours.iter().filter_map(Neighbours::next).min();
        [sessions, fragments, neighbours, self.unsolicited.next()].into_iter().flatten().min()
    }

    /// Takes down, from now on or no longer, how it decides about each packet.
    pub fn take_notes(&mut self, on: bool) {
        self.notes.set(on);
    }

    /// How it decided about the packet before; None where it takes no notes.
    #[must_use]
    pub fn note(&self) -> Option<&Note> {
        self.notes.get()
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let lost = self.neighbours.iter().map(|neighbours| neighbours.lost).sum::<u64>();
        let waited_in_vain = self.counters.waited_in_vain + self.fragments.lost + lost;
        Counters { nat: self.nat.counters, waited_in_vain, ..self.counters.clone() }
    }

    /// Up to `limit` sessions from `cursor` on, and where to go on; fewer where the table has
    /// many free slots, so that one call is short however long the table.
    #[must_use]
    pub fn sessions(
        &self,
        cursor: Cursor,
        limit: usize,
        now: Timestamp,
    ) -> (Vec<SessionView>, Option<Cursor>) {
        self.nat.sessions(cursor, limit, now)
    }

    /// Whether an inside endpoint has a living session with a remote one: the look-up that a packet
    /// going out begins with.
    #[must_use]
    pub fn has_session(
        &self,
        protocol: Protocol,
        inside: Endpoint,
        remote: Endpoint,
        now: Timestamp,
    ) -> bool {
        self.nat.realm(protocol).known_out(inside, remote, now).is_some()
    }

    /// Whether a remote endpoint has a living session with an outside port: the look-up that a
    /// packet coming in begins with.
    #[must_use]
    pub fn has_session_at(
        &self,
        protocol: Protocol,
        outside_port: u16,
        remote: Endpoint,
        now: Timestamp,
    ) -> bool {
        self.nat.realm(protocol).known_in(outside_port, remote, now).is_some()
    }

    /// Sessions and outside ports in use, by protocol.
    #[must_use]
    pub fn nat_usage(&self) -> [(Protocol, u32, usize); 3] {
        self.nat.usage()
    }

    /// Datagrams whose fragments are being followed, and bytes of those held.
    #[must_use]
    pub fn fragment_usage(&self) -> (usize, usize) {
        self.fragments.usage()
    }

    /// The neighbours of both sides, by address.
    #[must_use]
    pub fn neighbours(&self, now: Timestamp) -> Vec<(Side, NeighbourView)> {
        let side = |side: Side| {
            self.neighbours[side as usize].views(now).into_iter().map(move |v| (side, v))
        };
        side(Side::Lan).chain(side(Side::Uplink)).collect()
    }

    /// Up to `limit` neighbours of one side, by address, from `from` on.
    #[must_use]
    pub fn neighbours_from(
        &self,
        side: Side,
        from: Ipv4Addr,
        limit: usize,
        now: Timestamp,
    ) -> Vec<NeighbourView> {
        self.neighbours[side as usize].views_from(from, limit, now)
    }

    /// The routes.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteView> {
        self.routes.views()
    }

    /// The published ports.
    #[must_use]
    pub fn published(&self) -> &[Published] {
        self.nat.published()
    }

    /// The uplink's address, while it has one.
    #[must_use]
    pub fn uplink_address(&self) -> Option<UplinkAddress> {
        self.routes.uplink
    }

    /// Keeps session events from now on, or none; what was kept is forgotten then.
    pub fn keep_events(&mut self, on: bool) {
        self.nat.events.keep(on);
    }

    /// Fetches the session events kept so far (none unless the configuration asks for them, or
    /// [`Gateway::keep_events`]).
    pub fn drain_events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.nat.events.drain()
    }

    /// The hardware address of a side; that of the LAN where there is no uplink.
    pub(crate) fn mac(&self, side: Side) -> MacAddr {
        match (side, &self.uplink) {
            (Side::Uplink, Some(uplink)) => uplink.mac,
            _ => self.lan.mac,
        }
    }

    /// The gateway's own address on a side.
    pub(crate) fn address(&self, side: Side) -> Option<Ipv4Addr> {
        match side {
            Side::Lan => Some(self.lan.address),
            Side::Uplink => self.routes.uplink.map(|u| u.address),
        }
    }

    /// The largest packet of a side.
    pub(crate) fn mtu(&self, side: Side) -> usize {
        usize::from(match (side, &self.uplink) {
            (Side::Uplink, Some(uplink)) => uplink.mtu,
            _ => self.lan.mtu,
        })
    }

    /// True where a kernel shares the uplink's address with us.
    pub(crate) fn is_shared(&self, side: Side) -> bool {
        side == Side::Uplink && self.uplink.as_ref().is_some_and(|u| u.shared)
    }

    /// Sends a frame beside the one that entered.
    pub(crate) fn send(
        &mut self,
        out: &mut dyn Output,
        side: Side,
        vnet: VnetHeader,
        frame: &[u8],
    ) {
        self.counters.extra += 1;
        out.send(side, vnet, frame);
    }
}
