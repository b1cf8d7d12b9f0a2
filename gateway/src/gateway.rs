//! The gateway itself: one value that owns every table, is given frames and the time, and answers
//! with verdicts.
//!
//! [`Gateway::from_leg`] and [`Gateway::from_uplink`] take a frame each, [`Gateway::tick`] what
//! is due; the rest is for `show`. A frame is read, [`crate::course`] decides about it, [`crate::paths`]
//! lets it go that way. What changes a gateway beside frames is in `change`. Nothing here can fail:
//! what does not fit is dropped and counted.

use std::net::Ipv4Addr;

use wire::{Ethernet, FrameMut, Timestamp, ethertype};

use crate::barred::Barred;
use crate::by_address::Others;
use crate::config::{Config, UplinkAddress};
use crate::counters::Counters;
use crate::course::{Answer, Refusal};
use crate::ipid::Identification;
use crate::leg::{LegError, LegId, LegView};
use crate::limit::Queries;
use crate::links::Links;
use crate::nat::fragments::{Action, Datagram, Fragments};
use crate::nat::publish::Published;
use crate::nat::snapshot::{Cursor, Event, SessionView};
use crate::nat::unsolicited::Unsolicited;
use crate::nat::{Nat, REFUSED};
use crate::neighbour::NeighbourView;
use crate::node::Node;
use crate::note::{Note, Notes};
use crate::often::Often;
use crate::output::Output;
use crate::packet::{Endpoint, L3, Packet, Protocol};
use crate::passage::{Arrival, Passage};
use crate::repeat::Repeat;
use crate::route::RouteView;
use crate::verdict::{DropReason, Side, Verdict};

/// The router of all networks: a leg in each, one uplink and one NAT.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) links: Links,
    pub(crate) nat: Nat,
    pub(crate) fragments: Fragments,
    pub(crate) ids: Identification,
    pub(crate) unsolicited: Unsolicited,
    pub(crate) notes: Notes,
    /// How what was sent on last may be repeated, and which packets have come often enough.
    pub(crate) repeat: Option<Repeat>,
    pub(crate) often: Often,
    /// What the NAT's ports of a shared address are: those alone can be published.
    pub(crate) block: Option<std::ops::RangeInclusive<u16>>,
    /// Whether there is a resolver of names behind the output.
    pub(crate) names: bool,
    pub(crate) queries: Queries,
    /// Whom nodes send no datagram by the uplink.
    pub(crate) barred: Barred,
    pub(crate) others: Others,
}

impl Gateway {
    /// A gateway with empty tables. `seed` makes its choices unpredictable to others; equal seeds
    /// make equal choices.
    ///
    /// # Errors
    /// [`LegError`] of the first leg that cannot be had beside those before it.
    pub fn new(config: Config, seed: u64) -> Result<Self, LegError> {
        let uplink = config.uplink.as_ref();
        let ports = uplink.map_or(1..=65535, |uplink| uplink.ports.clone());
        let limits = config.limits;
        let mut gateway = Self {
            links: Links::new(&config, seed),
            nat: Nat::new(&config.nat, &ports, limits, seed),
            fragments: Fragments::new(limits, seed),
            ids: Identification::new(seed),
            unsolicited: Unsolicited::new(limits.pending_syns),
            notes: Notes::default(),
            repeat: None,
            often: Often::new(seed),
            block: uplink.filter(|uplink| uplink.shared).map(|_| ports),
            names: false,
            queries: Queries::new(),
            barred: Barred::default(),
            others: Others::default(),
        };
        for (id, leg) in config.legs {
            gateway.add_leg(id, leg)?;
        }
        Ok(gateway)
    }

    /// A frame from the first leg, whose nodes nobody tells apart: [`Gateway::from_leg`] for a LAN as
    /// a whole.
    pub fn from_lan(
        &mut self,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Verdict {
        self.from_leg(LegId::FIRST, Node::NOBODY, frame, out, now)
    }

    /// A frame from a node of one of the networks.
    pub fn from_leg(
        &mut self,
        leg: LegId,
        node: Node,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Verdict {
        if !self.links.has(leg) {
            return self.without_a_leg();
        }
        self.enter((Side::Leg(leg), node), frame, out, now)
    }

    /// A frame from the uplink.
    pub fn from_uplink(
        &mut self,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Verdict {
        self.enter((Side::Uplink, Node::NOBODY), frame, out, now)
    }

    /// A frame that was on its way when its leg was removed.
    #[cold]
    fn without_a_leg(&mut self) -> Verdict {
        let verdict = Verdict::Drop(DropReason::NoLeg);
        self.notes.begin();
        self.notes.end(verdict);
        self.links.counters.lan_in += 1;
        self.links.counters.dropped[DropReason::NoLeg.index()] += 1;
        verdict
    }

    #[inline(always)]
    fn enter(
        &mut self,
        from: (Side, Node),
        frame: &mut FrameMut<'_>,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Verdict {
        self.links.link_mut(from.0).counters.entered += 1;
        self.notes.begin();
        self.repeat = None;
        let verdict = self.frame(from, frame, out, now).unwrap_or_else(Verdict::Drop);
        self.notes.end(verdict);
        self.links.count(from.0, verdict);
        if self.links.stirred {
            self.stir();
        }
        verdict
    }

    #[inline(always)]
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
            ethertype::ARP => {
                let taken = self.links.arp((side, node), &ethernet, out, now);
                return taken.map(|own| self.links.host_of(side, &ethernet).unwrap_or(own));
            }
            ethertype::IPV4 => {}
            ethertype::IPV6 => return self.links.take_ipv6((side, node), &ethernet, out, now),
            ethertype::VLAN | ethertype::QINQ => return Err(DropReason::Tagged),
            _ => return Err(DropReason::NotIpv4),
        }
        let (from, to) = (ethernet.src(), ethernet.dst());
        if to != self.links.mac(side) || from.is_group() {
            return Err(DropReason::NotForMe);
        }
        let packet = Packet::read(frame)?;
        let datagram = Datagram::of(side, node, &packet);
        let arrival = Arrival { side, node, from, datagram, packet };
        let mut passage = Passage { frame, arrival, out, now };
        let result = self.packet(&mut passage);
        if let Err(reason) = result {
            self.others_too(&passage.arrival, reason, now);
        }
        result
    }

    /// What became of the first fragment of a datagram becomes of the others.
    #[inline(never)]
    fn others_too(&mut self, a: &Arrival, reason: DropReason, now: Timestamp) {
        let first = a.packet.more_fragments && a.packet.fragment_offset == 0;
        if first && reason.needs_the_first() {
            let held = self.fragments.first(a.datagram, &a.packet, Action::Drop(reason), now);
            self.links.counters.waited_in_vain += held.map_or(0, |h| h.len() as u64);
        }
    }

    /// Decides about a packet, and does it.
    #[inline(always)]
    fn packet(&mut self, p: &mut Passage<'_, '_>) -> Result<Verdict, DropReason> {
        if self.notes.is_on() {
            self.notes.route(self.routed_by(&p.arrival));
        }
        let mut plan = self.plan(&p.arrival, p.frame.bytes, p.now);
        if plan.as_ref().is_err_and(|refusal| refusal.reason.is_exhaustion())
            && self.nat.hear(REFUSED, p.now)
        {
            plan = self.plan(&p.arrival, p.frame.bytes, p.now);
        }
        match plan {
            Ok(course) if self.nat.repeater.is_none() => self.commit(p, course),
            Ok(course) => {
                let before = p.arrival;
                let verdict = self.commit(p, course)?;
                let after = &p.arrival.packet;
                self.repeat = self.repeatable(course, (&before, after), verdict, p.now);
                Ok(verdict)
            }
            Err(refusal) => Err(self.refuse(p, refusal)),
        }
    }

    /// Tells the sender of a packet what is to be told.
    #[inline(never)]
    fn refuse(&mut self, p: &mut Passage<'_, '_>, refusal: Refusal) -> DropReason {
        let Packet { dst, .. } = p.arrival.packet;
        match refusal.answer {
            Answer::None => {}
            Answer::Report(problem) => self.links.report(p, problem, None),
            Answer::AsAddressed(problem) => self.links.report(p, problem, Some(dst)),
            Answer::Reset => self.links.reset(p),
            Answer::Later => {
                if let Some((_, remote, local)) = p.arrival.packet.flow() {
                    let packet = &p.frame.bytes[L3..p.arrival.packet.end()];
                    self.unsolicited.hold((local.port, remote), p.arrival.from, packet, p.now);
                }
            }
        }
        refusal.reason
    }

    /// Does what is due: ends sessions, asks for neighbours again, gives up on those that do not
    /// answer. Returns when it wants to be called next.
    pub fn tick(&mut self, out: &mut dyn Output, now: Timestamp) -> Option<Timestamp> {
        self.catch_up();
        let sessions = self.nat.expire(now);
        let fragments = self.fragments.expire(now);
        let neighbours = self.tick_neighbours(out, now);
        self.tick_unsolicited(out, now);
        if self.links.stirred {
            self.stir();
        }
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
        let mut counters = self.links.tally();
        counters.waited_in_vain += self.fragments.lost;
        counters.nat = self.nat.counters;
        counters
    }

    /// The legs, by number: what each was told and what it has done.
    pub fn legs(&self) -> impl Iterator<Item = LegView<'_>> {
        self.links.legs()
    }

    /// The leg whose subnet an address is in.
    #[must_use]
    pub fn leg_of(&self, address: Ipv4Addr) -> Option<LegId> {
        self.links.routes.leg(address)
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

    /// The neighbours of all legs and of the uplink, each link's by address.
    #[must_use]
    pub fn neighbours(&self, now: Timestamp) -> Vec<(Side, NeighbourView)> {
        let all = self.links.sides().flat_map(|side| {
            let views = self.links.link(side).neighbours.views(now);
            views.into_iter().map(move |view| (side, view))
        });
        all.collect()
    }

    /// Up to `limit` neighbours of one side, by address, from `from` on; none of a leg that is not
    /// there.
    #[must_use]
    pub fn neighbours_from(
        &self,
        side: Side,
        from: Ipv4Addr,
        limit: usize,
        now: Timestamp,
    ) -> Vec<NeighbourView> {
        match side {
            Side::Leg(leg) if !self.links.has(leg) => Vec::new(),
            _ => self.links.link(side).neighbours.views_from(from, limit, now),
        }
    }

    /// The routes.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteView> {
        self.links.routes.views()
    }

    /// The published ports.
    #[must_use]
    pub fn published(&self) -> &[Published] {
        self.nat.published()
    }

    /// The uplink's address, while it has one.
    #[must_use]
    pub fn uplink_address(&self) -> Option<UplinkAddress> {
        self.links.routes.uplink
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
}
