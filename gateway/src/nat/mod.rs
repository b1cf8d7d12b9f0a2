//! Network address translation: RFC 4787 (UDP), 5382 (TCP), 5508 (ICMP), 7857 (updates).
//!
//! | file | what |
//! |---|---|
//! | `plan` | the decisions about one packet |
//! | `realm` | one protocol's tables, and what a packet changes |
//! | `table`, `slots`, `session`, `index`, `wheel` | sessions, how they are found, when they end |
//! | `mapping`, `ports`, `own`, `publish` | outside ports: whose, which, for one session, for good |
//! | `filter`, `tcp` | who may come in, how TCP goes |
//! | `quota`, `order`, `standing`, `siblings` | how much a node may hold, and what of it gives way |
//! | `forget` | a flush, a node that is gone |
//! | `errors`, `unsolicited` | ICMP errors, SYNs nobody asked for |
//! | `fragments`, `covered` | fragments of datagrams, and which bytes have passed |
//! | `repeated` | what others do by themselves to packets of a session |
//! | `by_address` | sessions of protocols without ports |
//! | `ours` | what is the NAT's, told to a kernel that shares the address |
//! | `snapshot` | what `show nat` sees |
//!
//! The gateway's paths call [`Nat::running`], [`Nat::open`] and [`Nat::commit_in`] with values and
//! get the new endpoint or a drop reason; bytes are changed elsewhere.

pub(crate) mod by_address;
mod covered;
pub(crate) mod errors;
pub(crate) mod filter;
pub(crate) mod forget;
pub(crate) mod fragments;
pub(crate) mod index;
pub(crate) mod mapping;
pub(crate) mod order;
pub(crate) mod ours;
mod own;
pub(crate) mod plan;
pub(crate) mod ports;
pub(crate) mod publish;
pub(crate) mod quota;
pub(crate) mod realm;
mod repeated;
pub(crate) mod session;
pub(crate) mod siblings;
pub(crate) mod slots;
pub(crate) mod snapshot;
mod standing;
pub(crate) mod table;
pub(crate) mod tcp;
pub(crate) mod unsolicited;
pub(crate) mod wheel;

use std::ops::RangeInclusive;

use wire::Timestamp;

pub(crate) use self::repeated::REFUSED;

use self::by_address::ByAddress;
use self::ours::Telling;
use self::plan::{Displaced, PlanIn, PlanOut};
use self::publish::{Owner, Published};
use self::realm::{Load, Realm};
use self::repeated::{DISPLACED, Places};
use self::snapshot::{Closing, Events};
use crate::config::{Limits, NatConfig};
use crate::node::Node;
use crate::packet::{Endpoint, Protocol};
use crate::repeat::Repeater;
use crate::verdict::DropReason;

/// Sessions ended in one call of [`Nat::expire`]; the rest wait for the next.
const EXPIRE_BUDGET: u32 = 4096;
/// Sessions that may give way to one packet, and those that were asked to and are others by now.
const GIVE_WAY: usize = 4;
const OTHERS: usize = 64;

/// Figures of the NAT, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatCounters {
    /// Sessions opened.
    pub opened: u64,
    /// Sessions that outlived their lifetime.
    pub expired: u64,
    /// Sessions forgotten by a flush, a change of the uplink's address, or with their node.
    pub flushed: u64,
    /// Sessions that were closed or not established and gave way to others.
    pub displaced: u64,
    /// Events nobody fetched in time.
    pub events_lost: u64,
}

/// The translator.
#[derive(Debug)]
pub(crate) struct Nat {
    realms: [Realm; 3],
    pub(crate) by_address: ByAddress,
    published: Vec<Published>,
    /// Whose each of them is.
    owners: Vec<Owner>,
    limits: Limits,
    pub(crate) ours: Telling,
    pub(crate) repeater: Option<Box<dyn Repeater>>,
    /// Sessions of each protocol that it may know of.
    given: [Places; 3],
    /// When it was asked for all of them, for want of room.
    heard: Timestamp,
    pub(crate) events: Events,
    pub(crate) counters: NatCounters,
}

impl Nat {
    pub(crate) fn new(
        config: &NatConfig,
        ports: &RangeInclusive<u16>,
        limits: Limits,
        seed: u64,
    ) -> Self {
        let behaviour = (config.kind, config.lifetimes);
        Self {
            realms: Protocol::ALL
                .map(|protocol| Realm::new(protocol, ports.clone(), behaviour, &limits, seed)),
            by_address: ByAddress::new(config.lifetimes, &limits, seed),
            published: Vec::new(),
            owners: Vec::new(),
            limits,
            ours: Telling::default(),
            repeater: None,
            given: Default::default(),
            heard: Timestamp::ZERO,
            events: Events::new(config.events, limits.events),
            counters: NatCounters::default(),
        }
    }

    #[inline]
    pub(crate) fn realm(&self, protocol: Protocol) -> &Realm {
        &self.realms[protocol as usize]
    }

    /// A packet of a running session goes out: the port it appears to come from; None where there
    /// is no session.
    #[inline]
    pub(crate) fn running(
        &mut self,
        protocol: Protocol,
        node: Node,
        (inside, remote): (Endpoint, Endpoint),
        load: Load,
        now: Timestamp,
    ) -> Result<Option<u16>, DropReason> {
        let realm = &mut self.realms[protocol as usize];
        let Some(id) = realm.known_out(inside, remote, now) else { return Ok(None) };
        let session = realm.table.get(id);
        if !session.node.may_be(node) {
            return Err(DropReason::Foreign);
        }
        let outside = session.outside_port;
        self.before(protocol, id, load, true);
        self.realms[protocol as usize].touch_out(id, load, now);
        Ok(Some(outside))
    }

    /// The same for one that opens a session.
    pub(crate) fn open(
        &mut self,
        protocol: Protocol,
        node: Node,
        (inside, remote): (Endpoint, Endpoint),
        load: Load,
        now: Timestamp,
    ) -> Result<u16, DropReason> {
        let id = self.open_out(protocol, node, (inside, remote), load, now)?;
        let realm = &mut self.realms[protocol as usize];
        realm.touch_out(id, load, now);
        realm.is_new(id);
        Ok(realm.table.get(id).outside_port)
    }

    fn open_out(
        &mut self,
        protocol: Protocol,
        node: Node,
        (inside, remote): (Endpoint, Endpoint),
        load: Load,
        now: Timestamp,
    ) -> Result<u32, DropReason> {
        self.make_room(protocol, now);
        // Once more, to hear of what was repeated; and for each that is another by now.
        let (mut paid, mut tries, mut others) = (false, GIVE_WAY + 2, OTHERS);
        while tries > 0 && others > 0 {
            tries -= 1;
            let realm = &mut self.realms[protocol as usize];
            // Both keys are to be free; what has them has expired, or the plan refuses.
            let stale = realm.table.find_out(inside, remote);
            if let Some(id) = stale.filter(|id| realm.table.get(*id).expires <= now) {
                self.end(protocol, id, Closing::Expired);
                continue;
            }
            let ends = (inside, remote);
            let plan = match realm.plan_out_again(node, ends, (load.flags, paid), now) {
                Err(reason) if reason.is_exhaustion() && self.hear(REFUSED, now) => continue,
                plan => plan?,
            };
            let realm = &mut self.realms[protocol as usize];
            let PlanOut::Open { outside, mapping, state, displaced } = plan else {
                return stale.ok_or(DropReason::TableFull);
            };
            if let Some(displaced) = displaced {
                if !self.hear(DISPLACED, now) {
                    let gone = self.give_way(protocol, displaced);
                    (paid, others) = (paid | gone, others - usize::from(!gone));
                    tries += usize::from(!gone);
                }
                continue;
            }
            if let Some(id) = realm.table.find_in(outside, remote) {
                self.end(protocol, id, Closing::Expired);
                continue;
            }
            let id = realm
                .open_out(node, (inside, remote), (outside, mapping, state), now)
                .ok_or(DropReason::TableFull)?;
            self.opened(protocol, id);
            return Ok(id);
        }
        Err(DropReason::TableFull)
    }

    /// A packet of a running session comes in: the node and the endpoint it goes to.
    #[inline]
    pub(crate) fn running_in(
        &mut self,
        protocol: Protocol,
        id: u32,
        load: Load,
        now: Timestamp,
    ) -> (Node, Endpoint) {
        self.before(protocol, id, load, false);
        let realm = &mut self.realms[protocol as usize];
        realm.touch_in(id, load, now);
        let session = realm.table.get(id);
        (session.node, session.inside())
    }

    /// A packet comes in: what is to be done with it. [`Nat::commit_in`] does it.
    #[inline]
    pub(crate) fn plan_in(
        &self,
        protocol: Protocol,
        (port, remote): (u16, Endpoint),
        load: Load,
        now: Timestamp,
    ) -> Result<PlanIn, DropReason> {
        self.realm(protocol).plan_in(port, remote, load.flags, now)
    }

    /// The same, of who gives way as he is known now.
    pub(crate) fn plan_opening_in(
        &mut self,
        protocol: Protocol,
        (port, remote): (u16, Endpoint),
        load: Load,
        now: Timestamp,
    ) -> Result<PlanIn, DropReason> {
        for _ in 0..=OTHERS {
            let plan = self.plan_in(protocol, (port, remote), load, now)?;
            let PlanIn::Open { displaced: Some(id), .. } = plan else { return Ok(plan) };
            if !self.hear(DISPLACED, now) && !self.is_another(protocol, id) {
                return Ok(plan);
            }
        }
        Err(DropReason::TableFull)
    }

    /// Carries out a plan for a packet that comes in: the inside endpoint it goes to.
    #[inline]
    pub(crate) fn commit_in(
        &mut self,
        protocol: Protocol,
        (port, remote): (u16, Endpoint),
        plan: PlanIn,
        load: Load,
        now: Timestamp,
    ) -> Result<Endpoint, DropReason> {
        let id = match plan {
            PlanIn::Known(id) => id,
            PlanIn::Open { inside, state, displaced } => {
                let realm = self.realm(protocol);
                let stale =
                    [realm.table.find_in(port, remote), realm.table.find_out(inside, remote)];
                if let Some(id) = displaced {
                    self.realms[protocol as usize].pass_over(id);
                    self.end(protocol, id, Closing::Displaced);
                }
                for id in stale.into_iter().flatten() {
                    // Both keys may lead to the same one, or to the one displaced.
                    if self.realm(protocol).table.get(id).state != session::State::Free {
                        self.end(protocol, id, Closing::Expired);
                    }
                }
                let realm = &mut self.realms[protocol as usize];
                if realm.mappings.inside(port) != Some(inside) {
                    // A session that has just ended was the mapping's last.
                    return Err(DropReason::NoSession);
                }
                let node = realm.mappings.node(port);
                let id = realm
                    .open_in((node, inside), (port, remote), state, now)
                    .ok_or(DropReason::TableFull)?;
                self.opened(protocol, id);
                id
            }
        };
        self.before(protocol, id, load, false);
        let realm = &mut self.realms[protocol as usize];
        realm.touch_in(id, load, now);
        if matches!(plan, PlanIn::Open { .. }) {
            realm.is_new(id);
        }
        Ok(realm.table.get(id).inside())
    }

    /// Ends what has outlived its lifetime, a bounded number a call; says when to call again.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Option<Timestamp> {
        let mut budget = EXPIRE_BUDGET;
        for protocol in Protocol::ALL {
            self.expire_some(protocol, &mut budget, now);
            self.realms[protocol as usize].table.shrink();
        }
        self.expire_by_address(&mut budget, now);
        let others = [self.ours.expire(now), self.by_address.table.next_expiry()];
        let tables = self.realms.iter().map(|realm| realm.table.next_expiry());
        tables.chain(others).flatten().min()
    }

    fn expire_some(&mut self, protocol: Protocol, budget: &mut u32, now: Timestamp) {
        while let Some(id) = self.realms[protocol as usize].table.expired(now, budget) {
            self.end(protocol, id, Closing::Expired);
        }
    }

    /// Before refusing for want of room, ends a few that should have ended already.
    fn make_room(&mut self, protocol: Protocol, now: Timestamp) {
        let realm = self.realm(protocol);
        if realm.table.free() == 0 || realm.mappings.ports.available() == 0 {
            self.expire_some(protocol, &mut 64, now);
        }
    }

    /// Ends what gives way to a new session; false where something of it does not, as is known now.
    fn give_way(&mut self, protocol: Protocol, Displaced { id, whole }: Displaced) -> bool {
        let realm = &mut self.realms[protocol as usize];
        let mut all = vec![id];
        if whole {
            let port = realm.table.get(id).outside_port;
            let sessions = realm.mappings.sessions_of(port, &realm.table.slots);
            all = sessions.into_iter().flatten().collect();
        }
        if all.iter().any(|id| self.is_another(protocol, *id)) {
            return false;
        }
        self.realms[protocol as usize].pass_over(id);
        all.iter().for_each(|id| self.end(protocol, *id, Closing::Displaced));
        true
    }

    fn opened(&mut self, protocol: Protocol, id: u32) {
        self.counters.opened += 1;
        let session = self.realms[protocol as usize].table.get(id);
        self.ours.session(protocol, session.outside_port, session.remote(), true);
        self.events.opened(protocol.into(), session);
        self.counters.events_lost = self.events.lost();
    }

    fn end(&mut self, protocol: Protocol, id: u32, why: Closing) {
        self.take_back(protocol, id);
        let (session, rest) = self.realms[protocol as usize].close(id);
        self.ours.session(protocol, session.outside_port, session.remote(), false);
        self.closed(protocol.into(), (&session, &rest), why);
        // A host that had a port of its own beside a published one speaks from that from now on.
        let inside = session.inside();
        for p in self.published.iter().filter(|p| (p.protocol, p.inside) == (protocol, inside)) {
            let mappings = &mut self.realms[protocol as usize].mappings;
            if mappings.is_published(p.port) {
                mappings.make_primary(p.port);
            }
        }
    }
}

#[cfg(test)]
mod check;
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod tests;
