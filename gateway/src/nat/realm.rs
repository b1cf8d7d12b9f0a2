//! Everything the NAT knows about one protocol, and the decisions about one packet of it.
//!
//! Each decision is made twice over: `plan_*` looks and changes nothing, so that `explain` asks
//! the same question a packet does; `commit_*` carries a plan out. Refusals are drop reasons.

use std::net::Ipv4Addr;

use wire::Timestamp;
use wire::tcp::Flags;

use super::filter::{NatType, Permits};
use super::mapping::Mappings;
use super::quota::Quota;
use super::session::{EMBRYONIC, MAPPED, PERMITS, Rest, Session, State};
use super::table::Table;
use super::tcp;
use crate::config::{Lifetimes, Limits};
use crate::hash::{self, Key};
use crate::packet::{Endpoint, Protocol};
use crate::verdict::DropReason;

/// One protocol's tables.
#[derive(Debug)]
pub(crate) struct Realm {
    pub(crate) protocol: Protocol,
    pub(crate) table: Table,
    pub(crate) mappings: Mappings,
    pub(crate) quota: Quota,
    pub(crate) permits: Permits,
    /// Sessions opened from outside and not yet taken up by the inside: at most a quarter.
    pub(crate) embryonic: u32,
    dice: u64,
    pub(crate) kind: NatType,
    pub(crate) lifetimes: Lifetimes,
}

/// What carries a packet: how much it counts for, and its control bits where it is TCP.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) flags: Option<Flags>,
    pub(crate) packets: u16,
    pub(crate) bytes: usize,
}

/// What to do with a packet that goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanOut {
    /// It belongs to this session.
    Known(u32),
    /// It opens a session on this outside port.
    Open { outside: u16, mapping: Use, state: State },
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
    /// It opens a session with the inside endpoint of the mapping.
    Open { inside: Endpoint, state: State },
}

/// Ports tried for a symmetric session before it is refused.
const TRIES: usize = 1024;
/// Slots looked at for a session to displace; one in eight, at the least, is such a one.
const PROBES: usize = 128;

impl Realm {
    pub(crate) fn new(
        protocol: Protocol,
        ports: std::ops::RangeInclusive<u16>,
        (kind, lifetimes): (NatType, Lifetimes),
        limits: &Limits,
        seed: u64,
    ) -> Self {
        let number = u64::from(protocol.number());
        Self {
            protocol,
            table: Table::new(limits.sessions, seed.wrapping_add(number)),
            mappings: Mappings::new(protocol, ports, seed),
            quota: Quota::new(limits.per_node, Key::new(seed, 20 + number)),
            permits: Permits::new(Key::new(seed, 30 + number)),
            embryonic: 0,
            dice: hash::sip(seed, &[number, 80]),
            kind,
            lifetimes,
        }
    }

    /// The living session of a packet that goes out.
    #[inline]
    pub(crate) fn known_out(
        &self,
        inside: Endpoint,
        remote: Endpoint,
        now: Timestamp,
    ) -> Option<u32> {
        self.table.find_out(inside, remote).filter(|id| self.table.get(*id).expires > now)
    }

    /// The living session of a packet that comes in.
    #[inline]
    pub(crate) fn known_in(&self, port: u16, remote: Endpoint, now: Timestamp) -> Option<u32> {
        self.table.find_in(port, remote).filter(|id| self.table.get(*id).expires > now)
    }

    /// Whether what an inside endpoint sends to a port of our own address leads back in: a mapping
    /// has that port, or another inside endpoint has spoken to this one from it (symmetric).
    pub(crate) fn leads_in(&self, inside: Endpoint, target: Endpoint, now: Timestamp) -> bool {
        self.mappings.inside(target.port).is_some() || self.known_out(inside, target, now).is_some()
    }

    pub(crate) fn plan_out(
        &self,
        inside: Endpoint,
        remote: Endpoint,
        flags: Option<Flags>,
        now: Timestamp,
    ) -> Result<PlanOut, DropReason> {
        if let Some(id) = self.known_out(inside, remote, now) {
            return Ok(PlanOut::Known(id));
        }
        let state = match flags {
            Some(flags) => tcp::opens(flags).ok_or(DropReason::NotAnOpening)?,
            None => State::Opened,
        };
        self.room_for(inside)?;
        let (outside, mapping) = match self.mappings.outside(inside) {
            Some(port) => (port, Use::Existing),
            None if self.kind.endpoint_independent_mapping() => {
                let held = self.quota.of(inside.address).ports;
                let available = self.mappings.ports.available();
                if available > 0 && !self.quota.allows(held, available) {
                    return Err(DropReason::Quota);
                }
                let port = self.mappings.ports.choose(inside).ok_or(DropReason::PortsExhausted)?;
                (port, Use::New)
            }
            None => {
                let port = self.own_port(inside, remote).ok_or(DropReason::PortsExhausted)?;
                (port, Use::Own)
            }
        };
        if self.known_in(outside, remote, now).is_some() {
            return Err(DropReason::TupleTaken);
        }
        Ok(PlanOut::Open { outside, mapping, state })
    }

    pub(crate) fn plan_in(
        &self,
        port: u16,
        remote: Endpoint,
        flags: Option<Flags>,
        now: Timestamp,
    ) -> Result<PlanIn, DropReason> {
        if let Some(id) = self.known_in(port, remote, now) {
            return Ok(PlanIn::Known(id));
        }
        let inside = self.mappings.inside(port).ok_or(DropReason::NoSession)?;
        let admitted = self.mappings.is_published(port)
            // An ICMP reply answers one request to one host (RFC 5508 section 3).
            || self.protocol != Protocol::Icmp
                && self.permit(remote).is_some_and(|who| self.permits.contains(port, who));
        if !admitted {
            return Err(DropReason::Filtered);
        }
        let state = match flags {
            Some(flags) if tcp::opens(flags) == Some(State::SynOut) => State::SynIn,
            Some(_) => return Err(DropReason::NoSession),
            None => State::Unanswered,
        };
        self.room_for(inside)?;
        if self.known_out(inside, remote, now).is_some() {
            return Err(DropReason::TupleTaken);
        }
        Ok(PlanIn::Open { inside, state })
    }

    /// Under which address a session with `remote` lets others in.
    fn permit(&self, remote: Endpoint) -> Option<Ipv4Addr> {
        self.kind.filter().permit(remote.address)
    }

    /// The inside endpoint a plan leads to.
    pub(crate) fn inside_of(&self, plan: &PlanIn) -> Endpoint {
        match plan {
            PlanIn::Known(id) => self.table.get(*id).inside(),
            PlanIn::Open { inside, .. } => *inside,
        }
    }

    fn room_for(&self, inside: Endpoint) -> Result<(), DropReason> {
        let free = self.table.free();
        if free == 0 {
            Err(DropReason::TableFull)
        } else if !self.quota.allows(self.quota.of(inside.address).sessions, free) {
            Err(DropReason::Quota)
        } else {
            Ok(())
        }
    }

    /// A port that no mapping has and no other session uses towards `remote`. Not the inside port:
    /// what a host learns of its port from one remote is to tell nothing about the next.
    fn own_port(&self, inside: Endpoint, remote: Endpoint) -> Option<u16> {
        let ports = &self.mappings.ports;
        let usable = |port| ports.is_free(port) && self.table.find_in(port, remote).is_none();
        let salt = u64::from(u32::from(remote.address)) << 16 | u64::from(remote.port);
        let mut tries = ports.tries(inside, salt).take(TRIES);
        tries.find(|port| usable(*port))
    }

    /// Carries out an opening from inside; None where the table is full after all.
    pub(crate) fn open_out(
        &mut self,
        (inside, remote): (Endpoint, Endpoint),
        (outside, mapping, state): (u16, Use, State),
        now: Timestamp,
    ) -> Option<u32> {
        if mapping == Use::New {
            self.mappings.open(inside, outside);
            self.quota.add(inside.address, 0, 1);
        }
        let mut flags = if mapping == Use::Own { 0 } else { MAPPED };
        if let Some(who) = self.permit(remote) {
            self.permits.add(outside, who);
            flags |= PERMITS;
        }
        self.insert(inside, outside, remote, state, flags, now)
    }

    /// Whether one more opening from outside has to displace another first.
    pub(crate) fn embryonic_full(&self) -> bool {
        self.embryonic >= self.table.free().max(self.table.live()).div_ceil(4)
    }

    /// A session opened from outside that the inside has not taken up, by chance: whoever floods
    /// displaces mostly itself, and a handshake that takes a moment comes through.
    pub(crate) fn embryo(&mut self) -> Option<u32> {
        (0..PROBES).find_map(|_| {
            self.dice = self.dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let id =
                u32::try_from((self.dice >> 33) % u64::from(self.table.slots().max(1))).ok()?;
            (id < self.table.slots() && self.table.get(id).flags & EMBRYONIC != 0).then_some(id)
        })
    }

    /// Carries out an opening from outside.
    pub(crate) fn open_in(
        &mut self,
        inside: Endpoint,
        (outside, remote): (u16, Endpoint),
        state: State,
        now: Timestamp,
    ) -> Option<u32> {
        self.embryonic += 1;
        self.insert(inside, outside, remote, state, MAPPED | EMBRYONIC, now)
    }

    fn insert(
        &mut self,
        inside: Endpoint,
        outside_port: u16,
        remote: Endpoint,
        state: State,
        flags: u8,
        now: Timestamp,
    ) -> Option<u32> {
        if flags & MAPPED != 0 {
            self.mappings.acquire(outside_port);
        }
        self.quota.add(inside.address, 1, 0);
        let session = Session {
            expires: now + state.lifetime(self.protocol, &self.lifetimes),
            inside: inside.address.into(),
            remote: remote.address.into(),
            inside_port: inside.port,
            outside_port,
            remote_port: remote.port,
            state,
            flags,
            opened: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
            ..Session::default()
        };
        self.table.insert(session, now)
    }

    /// A packet of this session goes out.
    #[inline]
    pub(crate) fn touch_out(&mut self, id: u32, load: Load, now: Timestamp) {
        let rest = self.table.rest_mut(id);
        rest.packets_out = rest.packets_out.saturating_add(load.packets.into());
        rest.bytes_out += load.bytes as u64;
        let session = self.table.get(id);
        let (state, refresh) = match load.flags {
            Some(flags) => tcp::step(session.state, tcp::Sender::Inside, flags),
            // RFC 4787 REQ-6: packets from inside refresh.
            None if session.state == State::Unanswered => (State::Active, true),
            None => (session.state, true),
        };
        self.advance(id, state, refresh, now);
    }

    /// A packet of this session comes in.
    #[inline]
    pub(crate) fn touch_in(&mut self, id: u32, load: Load, now: Timestamp) {
        let rest = self.table.rest_mut(id);
        rest.packets_in = rest.packets_in.saturating_add(load.packets.into());
        rest.bytes_in += load.bytes as u64;
        let session = self.table.get(id);
        let (state, refresh) = match load.flags {
            Some(flags) => tcp::step(session.state, tcp::Sender::Outside, flags),
            None if session.state == State::Opened => (State::Active, false),
            None => (session.state, false),
        };
        self.advance(id, state, refresh, now);
    }

    #[inline]
    fn advance(&mut self, id: u32, state: State, refresh: bool, now: Timestamp) {
        let session = self.table.get_mut(id);
        session.state = state;
        if session.flags & EMBRYONIC != 0
            && !matches!(state, State::Unanswered | State::SynIn | State::Opening | State::Reset)
        {
            session.flags &= !EMBRYONIC;
            self.embryonic -= 1;
            if let Some(who) = self.kind.filter().permit(session.remote().address) {
                session.flags |= PERMITS;
                self.permits.add(session.outside_port, who);
            }
        }
        if refresh {
            self.table.set_expiry(id, now + state.lifetime(self.protocol, &self.lifetimes));
        }
    }

    /// Ends a session and gives back whatever only it held.
    pub(crate) fn close(&mut self, id: u32) -> (Session, Rest) {
        let (session, rest) = self.table.remove(id);
        if session.flags & EMBRYONIC != 0 {
            self.embryonic -= 1;
        }
        if session.flags & PERMITS != 0
            && let Some(who) = self.permit(session.remote())
        {
            self.permits.remove(session.outside_port, who);
        }
        let ended = session.flags & MAPPED != 0;
        let ended = if ended { self.mappings.release(session.outside_port) } else { None };
        self.quota.remove(session.inside().address, 1, u32::from(ended.is_some()));
        (session, rest)
    }

    /// Forgets every session and mapping, published ones too.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.mappings.clear();
        self.quota.clear();
        self.permits.clear();
        self.embryonic = 0;
    }
}
