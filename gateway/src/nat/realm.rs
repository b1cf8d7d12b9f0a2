//! Everything the NAT knows about one protocol, and what one packet changes of it.
//!
//! [`super::plan`] decides and changes nothing, so that `explain` asks the same question a packet
//! does; here the plan is carried out.

use std::net::Ipv4Addr;

use wire::Timestamp;
use wire::tcp::Flags;

use super::filter::{NatType, Permits};
use super::mapping::Mappings;
use super::order::Standing;
use super::plan::{Displaced, Use};
use super::quota::Quota;
use super::session::{
    EMBRYONIC, FROM_OUTSIDE, MAPPED, PERMITS, Rest, STANDING, Session, State, USED,
};
use super::table::Table;
use super::tcp;
use crate::config::{Lifetimes, Limits};
use crate::hash::Key;
use crate::node::Node;
use crate::packet::{Endpoint, Protocol};

/// One protocol's tables.
#[derive(Debug)]
pub(crate) struct Realm {
    pub(crate) protocol: Protocol,
    pub(crate) table: Table,
    pub(crate) mappings: Mappings,
    pub(crate) quota: Quota,
    pub(crate) permits: Permits,
    /// Sessions the outside has opened and that give way: at most a quarter.
    pub(crate) from_outside: u32,
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
            from_outside: 0,
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

    /// Whether session `id` is, or is among, what gives way. One that has kept the port of another time
    /// is of no mapping, and stays.
    pub(crate) fn goes_with(&self, displaced: Displaced, id: u32) -> bool {
        let [first, other] = [displaced.id, id].map(|id| self.table.get(id));
        let on_it = other.flags & MAPPED != 0 && other.outside_port == first.outside_port;
        displaced.id == id || displaced.whole && on_it
    }

    /// Whether the mapping on `port` ends with what gives way.
    pub(crate) fn ends_with(&self, displaced: Displaced, port: u16) -> bool {
        let session = self.table.get(displaced.id);
        let on_it = session.outside_port == port && session.flags & MAPPED != 0;
        on_it && (displaced.whole || self.mappings.ends_with(port, &self.table.slots))
    }

    /// Under which address a session with `remote` lets others in.
    pub(crate) fn permit(&self, remote: Endpoint) -> Option<Ipv4Addr> {
        self.kind.filter().permit(remote.address)
    }

    /// Carries out an opening from inside; None where the table is full after all.
    pub(crate) fn open_out(
        &mut self,
        node: Node,
        (inside, remote): (Endpoint, Endpoint),
        (outside, mapping, state): (u16, Use, State),
        now: Timestamp,
    ) -> Option<u32> {
        if mapping == Use::New {
            self.mappings.open((node, inside), outside);
            self.quota.add((node, inside.address), 0, 1);
        }
        let mut flags = if mapping == Use::Own { 0 } else { MAPPED };
        if let Some(who) = self.permit(remote) {
            self.permits.add(outside, who);
            flags |= PERMITS;
        }
        self.insert((node, inside), (outside, remote), (state, flags), now)
    }

    /// Carries out an opening from outside.
    pub(crate) fn open_in(
        &mut self,
        (node, inside): (Node, Endpoint),
        (outside, remote): (u16, Endpoint),
        state: State,
        now: Timestamp,
    ) -> Option<u32> {
        let flags = MAPPED | EMBRYONIC | FROM_OUTSIDE;
        self.insert((node, inside), (outside, remote), (state, flags), now)
    }

    fn insert(
        &mut self,
        (node, inside): (Node, Endpoint),
        (outside_port, remote): (u16, Endpoint),
        (state, flags): (State, u8),
        now: Timestamp,
    ) -> Option<u32> {
        let session = Session {
            expires: now + state.lifetime(self.protocol, &self.lifetimes),
            inside: inside.address.into(),
            remote: remote.address.into(),
            inside_port: inside.port,
            outside_port,
            remote_port: remote.port,
            state,
            flags,
            node,
            opened: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
            ..Session::default()
        };
        let id = self.table.insert(session, now)?;
        if flags & MAPPED != 0 {
            self.acquire(outside_port, id);
        }
        self.quota.add((node, inside.address), 1, 0);
        self.stand(id, standing(&session, false));
        Some(id)
    }

    /// A packet of this session goes out.
    #[inline]
    pub(crate) fn touch_out(&mut self, id: u32, load: Load, now: Timestamp) {
        let rest = self.table.rest_mut(id);
        rest.packets_out = rest.packets_out.saturating_add(load.packets.into());
        rest.bytes_out.add(load.bytes as u64);
        let session = self.table.get(id);
        let (state, refresh) = match load.flags {
            Some(flags) => tcp::step(session.state, tcp::Sender::Inside, flags),
            // RFC 4787 REQ-6: packets from inside refresh.
            None if session.state == State::Unanswered => (State::Active, true),
            None => (session.state, true),
        };
        // The inside goes on after an answer: it is more than a question.
        let settled = match load.flags {
            Some(flags) => tcp::goes_on(flags),
            None => session.state == State::Active,
        };
        self.advance(id, state, (refresh, settled), now);
    }

    /// A packet of this session comes in.
    #[inline]
    pub(crate) fn touch_in(&mut self, id: u32, load: Load, now: Timestamp) {
        let rest = self.table.rest_mut(id);
        rest.packets_in = rest.packets_in.saturating_add(load.packets.into());
        rest.bytes_in.add(load.bytes as u64);
        let session = self.table.get(id);
        let (state, refresh) = match load.flags {
            Some(flags) => tcp::step(session.state, tcp::Sender::Outside, flags),
            None if session.state == State::Opened => (State::Active, false),
            None => (session.state, false),
        };
        self.advance(id, state, (refresh, false), now);
    }

    #[inline]
    pub(super) fn advance(
        &mut self,
        id: u32,
        state: State,
        (refresh, settled): (bool, bool),
        now: Timestamp,
    ) {
        let session = self.table.get_mut(id);
        let changed = session.state != state;
        // What the outside opens is a connection with its last acknowledgement, too.
        let opened = session.state == State::Opening && session.flags & FROM_OUTSIDE != 0;
        session.state = state;
        if changed || session.flags & STANDING != 0 {
            self.settle(id, settled || opened);
        }
        if refresh {
            self.table.set_expiry(id, now + state.lifetime(self.protocol, &self.lifetimes));
        }
    }

    /// A packet has passed of a session that has changed or would give way to others.
    fn settle(&mut self, id: u32, settled: bool) {
        let session = self.table.get_mut(id);
        match session.state {
            // The four-tuple is used again, by whoever it is now.
            State::SynOut => session.flags &= !FROM_OUTSIDE,
            State::SynIn => session.flags |= FROM_OUTSIDE,
            _ => {}
        }
        if session.flags & EMBRYONIC != 0 && session.state.is_taken_up() {
            session.flags &= !EMBRYONIC;
            if let Some(who) = self.kind.filter().permit(session.remote().address) {
                session.flags |= PERMITS;
                self.permits.add(session.outside_port, who);
            }
        }
        let wanted = standing(session, settled);
        if wanted != session.standing() {
            self.stand(id, wanted);
        } else {
            session.flags |= USED;
        }
    }

    /// The packet that has opened a session has passed: that is no use of it.
    #[inline]
    pub(crate) fn is_new(&mut self, id: u32) {
        self.table.get_mut(id).flags &= !USED;
    }

    /// Ends a session and gives back whatever only it held.
    pub(crate) fn close(&mut self, id: u32) -> (Session, Rest) {
        self.withdraw(id);
        let session = *self.table.get(id);
        if session.flags & MAPPED != 0 {
            self.release(id);
        }
        self.withhold(&session);
        self.quota.remove((session.node, session.inside().address), 1, 0);
        self.table.remove(id)
    }

    /// A session leaves its mapping. With the last one the port is given back, to the node that it was
    /// counted for: sessions of others may have used it, where an address was published before it was
    /// known whose it is.
    pub(super) fn release(&mut self, id: u32) {
        let session = self.table.get(id);
        let (port, inside) = (session.outside_port, session.inside().address);
        let owner = (self.mappings.node(port), inside);
        if self.mappings.release(port, id, &mut self.table.slots) {
            self.quota.remove(owner, 0, 1);
        } else {
            self.arrange(port);
        }
    }

    /// A session lets nobody else in any longer.
    pub(crate) fn withhold(&mut self, session: &Session) {
        if session.flags & PERMITS != 0
            && let Some(who) = self.permit(session.remote())
        {
            self.permits.remove(session.outside_port, who);
        }
    }

    /// Forgets every session and mapping, published ones too.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.mappings.clear();
        self.quota.clear();
        self.permits.clear();
        self.from_outside = 0;
    }
}

/// Where a session belongs among those that give way; nowhere once it is established, and the inside has
/// gone on or what opened it is complete (`settled`). What the inside alone has said of a connection
/// settles nothing: it can say ever so much without anybody being there. Where something follows a RST
/// it stays where it was until then: the inside may know of no connection, and what comes from outside
/// is anybody's to send.
pub(super) fn standing(session: &Session, settled: bool) -> Option<Standing> {
    match session.state {
        State::Closing | State::Reset if session.flags & EMBRYONIC == 0 => Some(Standing::Closed),
        State::Established | State::FinOut | State::FinIn => {
            session.standing().filter(|_| !settled)
        }
        _ if session.flags & FROM_OUTSIDE != 0 => Some(Standing::FromOutside),
        State::SynOut | State::PickedUp => Some(Standing::FromInside),
        _ if settled => None,
        _ => Some(Standing::FromInside),
    }
}
