//! Sessions of protocols without ports: GRE, IPIP, ESP, SCTP and whatever else is not TCP, UDP or ICMP
//! (nf_conntrack_proto_generic and nft's masquerade do the same).
//!
//! A session is a protocol, an inside host and a remote one. What comes back names the protocol and the
//! remote alone, so of each such pair there is one session: a second host is refused, and told, unless
//! the first was never answered and has had [`PATIENCE`]. Both directions keep a session alive, for a
//! tunnel may carry one way only for as long as it likes, and nobody gets in by it but the remote that
//! the inside has spoken to. Bounded by [`MOST`], of which hosts and nodes have shares
//! ([`super::quota`]); what is not established gives way ([`super::order`]).

use std::net::Ipv4Addr;
use std::time::Duration;

use wire::{IpProtocol, Timestamp};

use super::Nat;
use super::forget::Flushing;
use super::order::{self, Standing, Wanted};
use super::quota::{Holding, Quota};
use super::realm::{Load, standing};
use super::session::{STANDING, Session, State, USED};
use super::snapshot::Closing;
use super::table::Table;
use crate::carried::GRE;
use crate::config::{Lifetimes, Limits};
use crate::hash::Key;
use crate::node::Node;
use crate::note::Opening;
use crate::packet::Endpoint;
use crate::verdict::DropReason;

/// Sessions at most: a tunnel's ends are few, and a kernel beside us keeps a set of them.
const MOST: u32 = 4096;
/// How long a host has a remote for itself that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Keeps its secrets apart from those of the protocols with ports, which have their numbers.
const SALT: u64 = 256;

/// Who speaks with whom, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Talk {
    pub(crate) protocol: IpProtocol,
    pub(crate) inside: Ipv4Addr,
    pub(crate) remote: Ipv4Addr,
}

/// What is to be done with a packet that goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// It belongs to this session.
    Known(u32),
    /// It opens one, once these have given way: who has the remote, and who has the room.
    Open([Option<u32>; 2]),
}

/// All such sessions. In the table a protocol's number stands where others have a port.
#[derive(Debug)]
pub(crate) struct ByAddress {
    pub(super) table: Table,
    quota: Quota,
    lifetimes: Lifetimes,
    /// None are opened where a kernel that shares our address cannot be told of them.
    pub(super) on: bool,
}

impl From<Plan> for Opening {
    fn from(plan: Plan) -> Self {
        match plan {
            Plan::Known(_) => Self::Running,
            Plan::Open(_) => Self::ByAddress,
        }
    }
}

impl ByAddress {
    pub(super) fn new(lifetimes: Lifetimes, limits: &Limits, seed: u64) -> Self {
        Self {
            table: Table::new(limits.sessions.min(MOST), seed.wrapping_add(SALT)),
            quota: Quota::new(limits.per_node, Key::new(seed, 20 + SALT)),
            lifetimes,
            on: true,
        }
    }

    /// How many there are.
    pub(crate) fn live(&self) -> u32 {
        self.table.live()
    }

    /// Whether sessions can be had at all.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// The living session of what a remote sends.
    #[inline]
    pub(crate) fn session(
        &self,
        protocol: IpProtocol,
        remote: Ipv4Addr,
        now: Timestamp,
    ) -> Option<u32> {
        let number = protocol.0.into();
        let id = self.table.find_in(number, Endpoint::new(remote, number))?;
        (self.table.get(id).expires > now).then_some(id)
    }

    /// The living session of what an inside host sends.
    pub(crate) fn of(&self, talk: Talk, now: Timestamp) -> Option<u32> {
        let id = self.session(talk.protocol, talk.remote, now)?;
        (self.inside(id).1 == talk.inside).then_some(id)
    }

    /// Whose a session is.
    pub(crate) fn inside(&self, id: u32) -> (Node, Ipv4Addr) {
        let session = self.table.get(id);
        (session.node, session.inside.into())
    }

    /// What is to be done with a packet of an inside host; changes nothing.
    pub(crate) fn plan(&self, node: Node, talk: Talk, now: Timestamp) -> Result<Plan, DropReason> {
        let holder = self.session(talk.protocol, talk.remote, now);
        if let Some(id) = holder {
            let session = self.table.get(id);
            if session.inside == u32::from(talk.inside) {
                let own = session.node.may_be(node);
                return if own { Ok(Plan::Known(id)) } else { Err(DropReason::Foreign) };
            }
            let since = now.as_secs().saturating_sub(session.opened.into());
            if session.state != State::Opened || since < PATIENCE.as_secs() {
                return Err(DropReason::RemoteTaken);
            }
        }
        let free = self.table.free() + u32::from(holder.is_some());
        Ok(Plan::Open([holder, self.room(node, talk.inside, free)?]))
    }

    /// Room for one session more of a host: None where there is, else who gives way.
    fn room(&self, node: Node, host: Ipv4Addr, free: u32) -> Result<Option<u32>, DropReason> {
        let held = self.quota.of(node, host).map(|usage| usage.sessions);
        if free > 0 && self.quota.allows(node, held, free) {
            return Ok(None);
        }
        // Where it is the host that holds too many, one of its own gives way.
        let own = free > 0 && held[1] >= free;
        let used =
            |s: &Session| (!own || s.inside == u32::from(host)).then_some(s.flags & USED != 0);
        let first = |node| {
            let lists = self.quota.lists(node)?;
            let all = (&[Standing::FromInside][..], Wanted::Place);
            order::first(lists, &self.table.slots, all, used)
        };
        let crowd = || {
            let stands =
                |holding: &Holding| holding.lists.length(Standing::FromInside, Wanted::Place) > 0;
            let (node, most) = self.quota.most(stands)?;
            if most > held[0] { first(node) } else { None }
        };
        let victim = first(node).or_else(|| if free == 0 { crowd() } else { None });
        let reason = if free == 0 { DropReason::TableFull } else { DropReason::Quota };
        victim.map(Some).ok_or(reason)
    }

    fn insert(&mut self, node: Node, talk: Talk, now: Timestamp) -> Option<u32> {
        let number = talk.protocol.0.into();
        let session = Session {
            expires: now + self.lifetime(talk.protocol, State::Opened),
            inside: talk.inside.into(),
            remote: talk.remote.into(),
            inside_port: number,
            outside_port: number,
            remote_port: number,
            state: State::Opened,
            node,
            opened: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
            ..Session::default()
        };
        let id = self.table.insert(session, now)?;
        self.quota.add((node, talk.inside), 1, 0);
        self.stand(id, standing(&session, false));
        Some(id)
    }

    fn remove(&mut self, id: u32) -> (Session, super::session::Rest) {
        self.stand(id, None);
        let (node, inside) = self.inside(id);
        self.quota.remove((node, inside), 1, 0);
        self.table.remove(id)
    }

    /// Gives a session its place among those that give way, or none.
    fn stand(&mut self, id: u32, wanted: Option<Standing>) {
        let lists = self.quota.lists_mut(self.table.get(id).node);
        order::leave(lists, &mut self.table.slots, id);
        if let Some(standing) = wanted {
            order::enter(lists, &mut self.table.slots, id, (standing, true));
        }
    }

    /// A packet passes, out or in.
    fn touch(&mut self, id: u32, load: Load, out: bool, now: Timestamp) {
        let rest = self.table.rest_mut(id);
        let (packets, bytes) = match out {
            true => (&mut rest.packets_out, &mut rest.bytes_out),
            false => (&mut rest.packets_in, &mut rest.bytes_in),
        };
        *packets = packets.saturating_add(load.packets.into());
        bytes.add(load.bytes as u64);
        let session = self.table.get_mut(id);
        // The inside goes on after an answer: it is more than a question.
        let settled = out && session.state == State::Active;
        if !out {
            session.state = State::Active;
        }
        if session.flags & STANDING != 0 {
            match settled {
                true => self.stand(id, None),
                false => session.flags |= USED,
            }
        }
        let session = self.table.get(id);
        let (protocol, state) = (protocol_of(session), session.state);
        self.table.set_expiry(id, now + self.lifetime(protocol, state));
    }

    fn lifetime(&self, protocol: IpProtocol, state: State) -> Duration {
        match (state, protocol) {
            (State::Opened, _) => self.lifetimes.unanswered,
            (_, IpProtocol(GRE)) => self.lifetimes.gre,
            _ => self.lifetimes.other,
        }
    }

    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.quota.clear();
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.quota.total().sessions, self.table.live());
        let standing = self.table.from(0).filter(|(_, s)| s.standing().is_some()).count();
        assert_eq!(self.quota.standing() as usize, standing);
    }
}

/// The protocol of a session that is one of these.
pub(super) fn protocol_of(session: &Session) -> IpProtocol {
    IpProtocol(session.remote_port.to_le_bytes()[0])
}

impl Nat {
    /// A packet goes out by address: it belongs to a session, or opens one.
    pub(crate) fn out_by_address(
        &mut self,
        node: Node,
        talk: Talk,
        load: Load,
        now: Timestamp,
    ) -> Result<Opening, DropReason> {
        // What should have ended already is in nobody's way.
        let mut budget = 64;
        while self.by_address.table.free() == 0
            && let Some(id) = self.by_address.table.expired(now, &mut budget)
        {
            self.end_by_address(id, Closing::Expired);
        }
        let plan = self.by_address.plan(node, talk, now)?;
        let id = match plan {
            Plan::Known(id) => id,
            Plan::Open([holder, room]) => {
                // The two may be one.
                let room = room.filter(|id| Some(*id) != holder);
                for id in [holder, room].into_iter().flatten() {
                    self.end_by_address(id, Closing::Displaced);
                }
                self.open_by_address(node, talk, now).ok_or(DropReason::TableFull)?
            }
        };
        self.by_address.touch(id, load, true, now);
        if matches!(plan, Plan::Open(_)) {
            // What opens it is no use of it.
            self.by_address.table.get_mut(id).flags &= !USED;
        }
        Ok(plan.into())
    }

    fn open_by_address(&mut self, node: Node, talk: Talk, now: Timestamp) -> Option<u32> {
        let number = talk.protocol.0.into();
        let stale = self.by_address.table.find_in(number, Endpoint::new(talk.remote, number));
        if let Some(id) = stale {
            self.end_by_address(id, Closing::Expired);
        }
        let id = self.by_address.insert(node, talk, now)?;
        self.counters.opened += 1;
        self.ours.by_address(talk.protocol, talk.remote, true);
        self.events.opened(talk.protocol, self.by_address.table.get(id));
        self.counters.events_lost = self.events.lost();
        Some(id)
    }

    /// A packet of a running session comes in by address: whose it is.
    pub(crate) fn in_by_address(
        &mut self,
        id: u32,
        load: Load,
        now: Timestamp,
    ) -> (Node, Ipv4Addr) {
        self.by_address.touch(id, load, false, now);
        self.by_address.inside(id)
    }

    pub(super) fn end_by_address(&mut self, id: u32, why: Closing) {
        let (session, rest) = self.by_address.remove(id);
        let protocol = protocol_of(&session);
        self.ours.by_address(protocol, session.remote.into(), false);
        self.closed(protocol, (&session, &rest), why);
    }

    /// Ends those that have outlived their lifetime.
    pub(super) fn expire_by_address(&mut self, budget: &mut u32, now: Timestamp) {
        while let Some(id) = self.by_address.table.expired(now, budget) {
            self.end_by_address(id, Closing::Expired);
        }
    }

    /// Ends those with remotes that are somebody else's.
    pub(crate) fn leave_by_address(&mut self, are: impl Fn(IpProtocol, Ipv4Addr) -> bool) {
        self.end_all_by_address(|session| are(protocol_of(session), session.remote.into()));
    }

    /// Ends those that `is` holds for.
    pub(super) fn end_all_by_address(&mut self, is: impl Fn(&Session) -> bool) {
        let all = self.by_address.table.from(0).filter(|(_, session)| is(session));
        let ids: Vec<u32> = all.map(|(id, _)| id).collect();
        for id in ids {
            self.end_by_address(id, Closing::Flushed);
        }
    }

    /// Forgets some, and says how many there were.
    pub(super) fn flush_some_by_address(&mut self, which: &Flushing, now: Timestamp) -> u32 {
        let all = self.by_address.table.from(0);
        let those = all.filter(|(_, session)| which.is(protocol_of(session), session));
        let those: Vec<_> = those.map(|(id, session)| (id, *session)).collect();
        let mut flushed = 0;
        for (id, session) in those {
            let (protocol, remote) = (protocol_of(&session), session.remote.into());
            self.ours.by_address(protocol, remote, true);
            self.ours.flushed_by_address(protocol, remote, now);
            self.end_by_address(id, Closing::Flushed);
            flushed += 1;
        }
        flushed
    }

    /// Forgets all of them, and says how many there were.
    pub(super) fn flush_by_address(&mut self, now: Timestamp) -> u32 {
        let table = &self.by_address.table;
        let flushed = table.live();
        for (id, session) in table.from(0) {
            let protocol = protocol_of(session);
            self.ours.flushed_by_address(protocol, session.remote.into(), now);
            self.events.closed(protocol, (session, table.rest(id)), Closing::Flushed);
        }
        self.by_address.clear();
        flushed
    }
}

#[cfg(test)]
mod tests;
