//! What is to be done with a packet, and who gives way to it: decisions that change nothing.
//!
//! A packet and `explain` ask the same question here; the realm carries the answer out. Refusals are
//! drop reasons.

use std::net::Ipv4Addr;

use wire::Timestamp;
use wire::tcp::Flags;

use super::order::{self, Standing, Wanted};
use super::realm::Realm;
use super::session::{MAPPED, Session, State, USED};
use super::tcp;
use crate::node::Node;
use crate::packet::{Endpoint, Protocol};
use crate::verdict::DropReason;

/// What to do with a packet that goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanOut {
    /// It belongs to this session.
    Known(u32),
    /// It opens a session on this outside port, once another has given way where one has to.
    Open { outside: u16, mapping: Use, state: State, displaced: Option<Displaced> },
}

/// What gives way to a session that the inside opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Displaced {
    pub(crate) id: u32,
    /// With this session all others of its mapping: it is their port that is wanted.
    pub(crate) whole: bool,
}

/// How a new session comes by its outside port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The inside endpoint has a mapping.
    Existing,
    /// A mapping is made.
    New,
    /// The port is the session's alone (symmetric).
    Own,
}

/// What to do with a packet that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanIn {
    /// It belongs to this session.
    Known(u32),
    /// It opens a session with the inside endpoint of the mapping, once another has given way.
    Open { inside: Endpoint, state: State, displaced: Option<u32> },
}

impl Realm {
    pub(crate) fn plan_out(
        &self,
        node: Node,
        ends: (Endpoint, Endpoint),
        flags: Option<Flags>,
        now: Timestamp,
    ) -> Result<PlanOut, DropReason> {
        self.plan_out_again(node, ends, (flags, false), now)
    }

    /// The same where another may have given way to it already: then it has that one's place.
    pub(crate) fn plan_out_again(
        &self,
        node: Node,
        (inside, remote): (Endpoint, Endpoint),
        (flags, paid): (Option<Flags>, bool),
        now: Timestamp,
    ) -> Result<PlanOut, DropReason> {
        if let Some(id) = self.known_out(inside, remote, now) {
            let own = self.table.get(id).node.may_be(node);
            return if own { Ok(PlanOut::Known(id)) } else { Err(DropReason::Foreign) };
        }
        let state = match flags {
            Some(flags) => tcp::opens(flags).ok_or(DropReason::NotAnOpening)?,
            None => State::Opened,
        };
        let existing = self.mappings.outside(inside);
        if existing.is_some_and(|port| !self.mappings.node(port).may_be(node)) {
            return Err(DropReason::Foreign);
        }
        let displaced = match paid && self.table.free() > 0 {
            true => None,
            false => self.room(node, inside.address, order::ALL)?,
        };
        let displaced = displaced.map(|id| Displaced { id, whole: false });
        let (outside, mapping, displaced) = match existing {
            Some(port) => (port, Use::Existing, displaced),
            None if self.kind.endpoint_independent_mapping() => {
                let (port, displaced) = self.new_port(node, inside, (displaced, paid))?;
                (port, Use::New, displaced)
            }
            None => {
                let ends = (inside, remote);
                let (port, displaced) = self.own_port(node, ends, (displaced, paid), now)?;
                (port, Use::Own, displaced)
            }
        };
        let goes = |id| displaced.is_some_and(|displaced| self.goes_with(displaced, id));
        if self.known_in(outside, remote, now).is_some_and(|id| !goes(id)) {
            return Err(DropReason::TupleTaken);
        }
        Ok(PlanOut::Open { outside, mapping, state, displaced })
    }

    #[inline]
    pub(crate) fn plan_in(
        &self,
        port: u16,
        remote: Endpoint,
        flags: Option<Flags>,
        now: Timestamp,
    ) -> Result<PlanIn, DropReason> {
        match self.known_in(port, remote, now) {
            Some(id) => Ok(PlanIn::Known(id)),
            None => self.plan_opening_in(port, remote, flags, now),
        }
    }

    #[inline(never)]
    fn plan_opening_in(
        &self,
        port: u16,
        remote: Endpoint,
        flags: Option<Flags>,
        now: Timestamp,
    ) -> Result<PlanIn, DropReason> {
        let inside = self.mappings.inside(port).ok_or(DropReason::NoSession)?;
        let published = self.mappings.is_published(port);
        let admitted = published
            // An ICMP reply answers one request to one host (RFC 5508 section 3).
            || self.protocol != Protocol::Icmp
                && self.permit(remote).is_some_and(|who| self.permits.contains(port, who));
        if !admitted {
            return Err(DropReason::Filtered);
        }
        let state = match flags {
            Some(flags) => {
                let alone = published && !self.mappings.is_held(port);
                tcp::opens_in(flags, alone).ok_or(DropReason::NoSession)?
            }
            None => State::Unanswered,
        };
        let displaced = self.room_for_outside(self.mappings.node(port), inside.address)?;
        let taken = self.known_out(inside, remote, now);
        if taken.is_some() && taken != displaced {
            return Err(DropReason::TupleTaken);
        }
        Ok(PlanIn::Open { inside, state, displaced })
    }

    /// Whose a plan makes the packet, and the inside endpoint it leads to.
    pub(crate) fn inside_of(&self, port: u16, plan: &PlanIn) -> (Node, Endpoint) {
        match plan {
            PlanIn::Known(id) => {
                let session = self.table.get(*id);
                (session.node, session.inside())
            }
            PlanIn::Open { inside, .. } => (self.mappings.node(port), *inside),
        }
    }

    /// Room for one session more of a host: None where there is, else who gives way.
    fn room(
        &self,
        node: Node,
        host: Ipv4Addr,
        among: &[Standing],
    ) -> Result<Option<u32>, DropReason> {
        let free = self.table.free();
        let held = self.quota.of(node, host).map(|usage| usage.sessions);
        if free > 0 && self.quota.allows(node, held, free) {
            return Ok(None);
        }
        // Where it is the host that holds too many, one of its own gives way, or what has closed.
        let own = free > 0 && held[1] >= free;
        let used = |s: &Session| (!own || may_go(s, host)).then_some(s.flags & USED != 0);
        let among = (among, Wanted::Place);
        let victim = self.victim(node, among, used);
        let victim = victim.or_else(|| (free == 0).then(|| self.crowd(held[0], among, used))?);
        let reason = if free == 0 { DropReason::TableFull } else { DropReason::Quota };
        victim.map(Some).ok_or(reason)
    }

    /// The same for a session the outside opens. All those together have a quarter of the table, of
    /// which a node may have as much as is left; beyond that its own give way.
    fn room_for_outside(&self, node: Node, host: Ipv4Addr) -> Result<Option<u32>, DropReason> {
        let quarter = (self.table.free() + self.table.live()).div_ceil(4);
        let lists = self.quota.lists(node);
        let own = lists.map_or(0, |lists| lists.length(Standing::FromOutside, Wanted::Place));
        if own < quarter.saturating_sub(self.from_outside) {
            return self.room(node, host, order::FOR_OUTSIDE);
        }
        let among = (&[Standing::FromOutside][..], Wanted::Place);
        let used = |s: &Session| Some(s.flags & USED != 0);
        let victim = self.victim(node, among, used);
        victim.or_else(|| self.crowd(0, among, used)).map(Some).ok_or(DropReason::TableFull)
    }

    /// A port for a new mapping, and who gives way for it: `displaced` if that is enough.
    fn new_port(
        &self,
        node: Node,
        inside: Endpoint,
        (displaced, paid): (Option<Displaced>, bool),
    ) -> Result<(u16, Option<Displaced>), DropReason> {
        let ports = &self.mappings.ports;
        let freed = displaced.filter(|d| self.ends_with(*d, self.table.get(d.id).outside_port));
        let freed = freed.map(|d| self.table.get(d.id));
        let mut held = self.quota.of(node, inside.address).map(|usage| usage.ports);
        if let Some(session) = freed.filter(|s| self.mappings.node(s.outside_port) == node) {
            held[0] = held[0].saturating_sub(1);
            let own = session.inside == u32::from(inside.address);
            held[1] = held[1].saturating_sub(u32::from(own));
        }
        let available = ports.available() + u32::from(freed.is_some());
        let freed = freed.map(|s| s.outside_port);
        let allowed = available > 0 && (paid || self.quota.allows(node, held, available));
        if allowed && let Some(port) = ports.choose(inside, freed) {
            return Ok((port, displaced));
        }
        let own = available > 0 && !allowed && held[1] >= available;
        let fits = |s: &Session| {
            ports.serves(inside.port, s.outside_port) && (!own || may_go(s, inside.address))
        };
        let used = |s: &Session| if fits(s) { self.used_by_any(s) } else { None };
        let reason =
            if available == 0 || allowed { DropReason::PortsExhausted } else { DropReason::Quota };
        let among = (order::ALL, Wanted::Port);
        let victim = self.victim(node, among, used);
        let victim = victim.or_else(|| match reason {
            DropReason::PortsExhausted => self.crowd(held[0], among, used),
            _ => None,
        });
        let id = victim.ok_or(reason)?;
        let freed = Some(self.table.get(id).outside_port);
        let port = ports.choose(inside, freed).ok_or(DropReason::PortsExhausted)?;
        Ok((port, Some(Displaced { id, whole: true })))
    }

    /// Whether a session of this one's mapping has been used since it got its place; None where not all of
    /// them may give way, or they are too many to be ended for one packet.
    fn used_by_any(&self, session: &Session) -> Option<bool> {
        let port = session.outside_port;
        if session.flags & MAPPED == 0 || self.mappings.is_published(port) {
            return None;
        }
        let mut used = false;
        for id in self.mappings.sessions_of(port, &self.table.slots)? {
            let other = self.table.get(id);
            // What has closed takes nothing along that is about to open.
            other.standing().filter(|own| Some(*own) <= session.standing())?;
            used |= other.flags & USED != 0;
        }
        Some(used)
    }

    /// A session of this node that gives way.
    fn victim(
        &self,
        node: Node,
        among: (&[Standing], Wanted),
        used: impl Fn(&Session) -> Option<bool>,
    ) -> Option<u32> {
        order::first(self.quota.lists(node)?, &self.table.slots, among, used)
    }

    /// A session that gives way of the node that holds most, where that is more than `held`.
    fn crowd(
        &self,
        held: u32,
        among: (&[Standing], Wanted),
        used: impl Fn(&Session) -> Option<bool>,
    ) -> Option<u32> {
        let stands = |lists: &order::Lists| among.0.iter().any(|s| lists.length(*s, among.1) > 0);
        let (node, most) = self.quota.most(|holding| stands(&holding.lists))?;
        if most > held { self.victim(node, among, used) } else { None }
    }
}

/// Whether a session gives way where `host` holds too many: its own, and what has closed of anybody.
pub(super) fn may_go(session: &Session, host: Ipv4Addr) -> bool {
    session.inside == u32::from(host) || session.standing() == Some(Standing::Closed)
}
