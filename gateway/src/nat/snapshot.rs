//! What `show nat` and `monitor` see: copies of sessions, and a bounded queue of their events.
//!
//! A page of sessions starts at a cursor, so that a million of them are never copied at once;
//! what is opened or closed between two pages may be seen or missed. Events are kept only where
//! the configuration asks; when the queue is full the newest is dropped and counted.

use std::collections::VecDeque;
use std::time::Duration;

use wire::{IpProtocol, Timestamp};

use super::Nat;
use super::by_address::protocol_of;
use super::publish::Published;
use super::session::{Rest, Session, State};
use crate::packet::{Endpoint, Protocol};

/// Slots of the table looked at in one call.
const SCAN: usize = 4096;

/// A session as it was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// By what.
    pub protocol: IpProtocol,
    /// Who speaks. Ports are 0 where the protocol has none ([`Protocol::of`]).
    pub inside: Endpoint,
    /// The port it appears to speak from.
    pub outside_port: u16,
    /// With whom.
    pub remote: Endpoint,
    /// Where the session stands.
    pub state: State,
    /// How long it would live without another packet.
    pub remaining: Duration,
    /// Since when, in whole seconds.
    pub age: Duration,
    /// Packets from inside; GSO frames count as what they stand for.
    pub packets_out: u32,
    /// Packets from outside.
    pub packets_in: u32,
    /// Bytes of IP from inside.
    pub bytes_out: u64,
    /// Bytes of IP from outside.
    pub bytes_in: u64,
}

impl SessionView {
    fn of(protocol: IpProtocol, (s, rest): (&Session, &Rest), now: Timestamp) -> Self {
        let (inside, outside_port, remote) = ends(protocol, s);
        Self {
            protocol,
            inside,
            outside_port,
            remote,
            state: s.state,
            remaining: s.expires.since(now),
            age: Duration::from_secs(now.as_secs().saturating_sub(s.opened.into())),
            packets_out: rest.packets_out,
            packets_in: rest.packets_in,
            bytes_out: rest.bytes_out.get(),
            bytes_in: rest.bytes_in.get(),
        }
    }
}

/// Where the next page of sessions starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub u64);

/// What happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// By what.
    pub protocol: IpProtocol,
    /// Who speaks. Ports are 0 where the protocol has none.
    pub inside: Endpoint,
    /// The port it appears to speak from.
    pub outside_port: u16,
    /// With whom.
    pub remote: Endpoint,
    /// Opened, or why it was closed.
    pub kind: EventKind,
    /// Where it stood.
    pub state: State,
    /// When it was opened, in seconds of the clock.
    pub opened: u32,
    /// When it would have ended, or will.
    pub expires: Timestamp,
    /// Packets from inside.
    pub packets_out: u32,
    /// Packets from outside.
    pub packets_in: u32,
    /// Bytes of IP from inside.
    pub bytes_out: u64,
    /// Bytes of IP from outside.
    pub bytes_in: u64,
}

/// Opened, or why it was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A new session.
    Opened,
    /// It ended.
    Closed(Closing),
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It outlived its lifetime.
    Expired,
    /// The table was flushed, or the uplink's address changed.
    Flushed,
    /// The outside had opened it, the inside had not taken it up, and others wanted its place.
    Displaced,
}

/// Events until somebody fetches them.
#[derive(Debug)]
pub(crate) struct Events {
    queue: VecDeque<Event>,
    on: bool,
    limit: usize,
    lost: u64,
}

impl Events {
    pub(crate) fn new(on: bool, limit: usize) -> Self {
        let mut events = Self { queue: VecDeque::new(), on: false, limit, lost: 0 };
        events.keep(on);
        events
    }

    /// Keeps events from now on, or none. The room is made here, not while frames flow.
    pub(crate) fn keep(&mut self, on: bool) {
        if self.on == on {
            return;
        }
        self.on = on;
        if on {
            self.queue.reserve(self.limit);
        } else {
            self.queue = VecDeque::new();
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    pub(crate) fn opened(&mut self, protocol: IpProtocol, session: &Session) {
        self.push(protocol, (session, &Rest::default()), EventKind::Opened);
    }

    pub(crate) fn closed(
        &mut self,
        protocol: IpProtocol,
        session: (&Session, &Rest),
        why: Closing,
    ) {
        self.push(protocol, session, EventKind::Closed(why));
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.queue.drain(..)
    }

    fn push(&mut self, protocol: IpProtocol, (s, rest): (&Session, &Rest), kind: EventKind) {
        if !self.on {
            return;
        }
        if self.queue.len() >= self.limit {
            self.lost += 1;
            return;
        }
        let (inside, outside_port, remote) = ends(protocol, s);
        self.queue.push_back(Event {
            protocol,
            inside,
            outside_port,
            remote,
            kind,
            state: s.state,
            opened: s.opened,
            expires: s.expires,
            packets_out: rest.packets_out,
            packets_in: rest.packets_in,
            bytes_out: rest.bytes_out.get(),
            bytes_in: rest.bytes_in.get(),
        });
    }
}

/// Inside end, outside port and remote end of a session. One by address has its protocol's number in
/// place of ports.
fn ends(protocol: IpProtocol, s: &Session) -> (Endpoint, u16, Endpoint) {
    let bare = |end: Endpoint| Endpoint::new(end.address, 0);
    match Protocol::of(protocol) {
        Some(_) => (s.inside(), s.outside_port, s.remote()),
        None => (bare(s.inside()), 0, bare(s.remote())),
    }
}

impl Nat {
    /// A session has ended.
    pub(super) fn closed(
        &mut self,
        protocol: IpProtocol,
        session: (&Session, &Rest),
        why: Closing,
    ) {
        match why {
            Closing::Expired => self.counters.expired += 1,
            Closing::Flushed => self.counters.flushed += 1,
            Closing::Displaced => self.counters.displaced += 1,
        }
        self.events.closed(protocol, session, why);
        self.counters.events_lost = self.events.lost();
    }

    pub(crate) fn published(&self) -> &[Published] {
        &self.published
    }

    /// Up to `limit` living sessions from `cursor` on, and where to go on; None at the end. Looks
    /// at [`SCAN`] slots at most, for frames wait meanwhile.
    pub(crate) fn sessions(
        &self,
        cursor: Cursor,
        limit: usize,
        now: Timestamp,
    ) -> (Vec<SessionView>, Option<Cursor>) {
        let mut views = Vec::new();
        let mut looked = 0;
        let start = usize::try_from(cursor.0 >> 32).unwrap_or(usize::MAX);
        let ported = self.realms.iter().map(|realm| (Some(realm.protocol.into()), &realm.table));
        let tables = ported.chain([(None, &self.by_address.table)]);
        for (number, (protocol, table)) in tables.enumerate().skip(start) {
            let slot = if number == start { cursor.0 & 0xffff_ffff } else { 0 };
            let slot = u32::try_from(slot).unwrap_or(u32::MAX);
            for (id, session) in table.all_from(slot) {
                if views.len() == limit || looked == SCAN {
                    return (views, Some(Cursor((number as u64) << 32 | u64::from(id))));
                }
                looked += 1;
                if session.state != State::Free && session.expires > now {
                    let protocol = protocol.unwrap_or_else(|| protocol_of(session));
                    views.push(SessionView::of(protocol, (session, table.rest(id)), now));
                }
            }
        }
        (views, None)
    }

    /// Living sessions and mappings of each protocol.
    pub(crate) fn usage(&self) -> [(Protocol, u32, usize); 3] {
        self.realms.each_ref().map(|r| (r.protocol, r.table.live(), r.mappings.len()))
    }
}
