//! Network address translation: RFC 4787 (UDP), 5382 (TCP), 5508 (ICMP), 7857 (updates).
//!
//! | file | what |
//! |---|---|
//! | `realm` | one protocol's tables, and the decisions about one packet |
//! | `table`, `slots`, `session`, `index`, `wheel` | sessions, how they are found, when they end |
//! | `mapping`, `ports`, `publish` | outside ports: whose, which, for good |
//! | `filter`, `tcp`, `quota` | who may come in, how TCP goes, how much a host may hold |
//! | `errors`, `unsolicited`, `fragments` | ICMP errors, SYNs nobody asked for, fragments |
//! | `ours` | what is the NAT's, told to a kernel that shares the address |
//! | `snapshot` | what `show nat` sees |
//!
//! The gateway's paths call [`Nat::outbound`] and [`Nat::inbound`] with values and get the new
//! endpoint or a drop reason; bytes are changed elsewhere.

pub(crate) mod errors;
pub(crate) mod filter;
pub(crate) mod fragments;
pub(crate) mod index;
pub(crate) mod mapping;
pub(crate) mod ours;
pub(crate) mod ports;
pub(crate) mod publish;
pub(crate) mod quota;
pub(crate) mod realm;
pub(crate) mod session;
pub(crate) mod slots;
pub(crate) mod snapshot;
pub(crate) mod table;
pub(crate) mod tcp;
pub(crate) mod unsolicited;
pub(crate) mod wheel;

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use wire::Timestamp;

use self::ours::{Ours, Telling};
use self::publish::{PublishError, Published};
use self::realm::{Load, PlanIn, PlanOut, Realm};
use self::snapshot::{Closing, Events};
use crate::config::{Limits, NatConfig};
use crate::packet::{Endpoint, Protocol};
use crate::verdict::DropReason;

/// Sessions ended in one call of [`Nat::expire`]; the rest wait for the next.
const EXPIRE_BUDGET: u32 = 4096;

/// Figures of the NAT, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatCounters {
    /// Sessions opened.
    pub opened: u64,
    /// Sessions that outlived their lifetime.
    pub expired: u64,
    /// Sessions forgotten by a flush or a change of the uplink's address.
    pub flushed: u64,
    /// Sessions opened from outside, and not taken up by the inside, that gave way to others of
    /// their kind.
    pub displaced: u64,
    /// Events nobody fetched in time.
    pub events_lost: u64,
}

/// The translator.
#[derive(Debug)]
pub(crate) struct Nat {
    realms: [Realm; 3],
    published: Vec<Published>,
    limits: Limits,
    pub(crate) ours: Telling,
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
            published: Vec::new(),
            limits,
            ours: Telling::default(),
            events: Events::new(config.events, limits.events),
            counters: NatCounters::default(),
        }
    }

    #[inline]
    pub(crate) fn realm(&self, protocol: Protocol) -> &Realm {
        &self.realms[protocol as usize]
    }

    /// A packet goes out: the endpoint it appears to come from.
    #[inline]
    pub(crate) fn outbound(
        &mut self,
        protocol: Protocol,
        (inside, remote): (Endpoint, Endpoint),
        load: Load,
        now: Timestamp,
    ) -> Result<u16, DropReason> {
        let realm = &mut self.realms[protocol as usize];
        let id = match realm.known_out(inside, remote, now) {
            Some(id) => id,
            None => self.open_out(protocol, (inside, remote), load, now)?,
        };
        let realm = &mut self.realms[protocol as usize];
        realm.touch_out(id, load, now);
        Ok(realm.table.get(id).outside_port)
    }

    fn open_out(
        &mut self,
        protocol: Protocol,
        (inside, remote): (Endpoint, Endpoint),
        load: Load,
        now: Timestamp,
    ) -> Result<u32, DropReason> {
        self.make_room(protocol, now);
        let realm = &mut self.realms[protocol as usize];
        let stale = realm.table.find_out(inside, remote);
        if let Some(id) = stale {
            self.end(protocol, id, Closing::Expired);
        }
        let realm = &mut self.realms[protocol as usize];
        let (outside, mapping, state) = match realm.plan_out(inside, remote, load.flags, now)? {
            PlanOut::Known(id) => return Ok(id),
            PlanOut::Open { outside, mapping, state } => (outside, mapping, state),
        };
        if let Some(id) = self.realms[protocol as usize].table.find_in(outside, remote) {
            // It has expired, or the plan would have refused.
            self.end(protocol, id, Closing::Expired);
            return self.open_out(protocol, (inside, remote), load, now);
        }
        let realm = &mut self.realms[protocol as usize];
        let id = realm
            .open_out((inside, remote), (outside, mapping, state), now)
            .ok_or(DropReason::TableFull)?;
        self.opened(protocol, id);
        Ok(id)
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
            PlanIn::Open { inside, state } => {
                let table = &self.realm(protocol).table;
                let stale = [table.find_in(port, remote), table.find_out(inside, remote)];
                for id in stale.into_iter().flatten() {
                    // Both keys may lead to the same one.
                    if self.realm(protocol).table.get(id).state != session::State::Free {
                        self.end(protocol, id, Closing::Expired);
                    }
                }
                let realm = &mut self.realms[protocol as usize];
                if realm.embryonic_full() {
                    let id = realm.embryo().ok_or(DropReason::TableFull)?;
                    self.end(protocol, id, Closing::Displaced);
                }
                let realm = &mut self.realms[protocol as usize];
                if realm.mappings.inside(port) != Some(inside) {
                    // A session that has just ended was the mapping's last.
                    return Err(DropReason::NoSession);
                }
                let id = realm
                    .open_in(inside, (port, remote), state, now)
                    .ok_or(DropReason::TableFull)?;
                self.opened(protocol, id);
                id
            }
        };
        let realm = &mut self.realms[protocol as usize];
        realm.touch_in(id, load, now);
        Ok(realm.table.get(id).inside())
    }

    /// Ends what has outlived its lifetime, a bounded number a call; says when to call again.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Option<Timestamp> {
        let mut budget = EXPIRE_BUDGET;
        for protocol in Protocol::ALL {
            self.expire_some(protocol, &mut budget, now);
        }
        let late = self.ours.expire(now);
        self.realms.iter().filter_map(|r| r.table.next_expiry()).chain(late).min()
    }

    /// Tells what is ours from now on, beginning with all that is at present.
    pub(crate) fn tell_ours(&mut self, to: Box<dyn Ours>) {
        self.ours.begin(to);
        for published in &self.published {
            self.ours.published(published.protocol, published.port, true);
        }
        for realm in &self.realms {
            for (_, session) in realm.table.from(0) {
                let (port, remote) = (session.outside_port, session.remote());
                self.ours.session(realm.protocol, port, remote, true);
            }
        }
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

    fn opened(&mut self, protocol: Protocol, id: u32) {
        self.counters.opened += 1;
        let session = self.realms[protocol as usize].table.get(id);
        self.ours.session(protocol, session.outside_port, session.remote(), true);
        self.events.opened(protocol, session);
        self.counters.events_lost = self.events.lost();
    }

    fn end(&mut self, protocol: Protocol, id: u32, why: Closing) {
        let (session, rest) = self.realms[protocol as usize].close(id);
        self.ours.session(protocol, session.outside_port, session.remote(), false);
        match why {
            Closing::Expired => self.counters.expired += 1,
            Closing::Flushed => self.counters.flushed += 1,
            Closing::Displaced => self.counters.displaced += 1,
        }
        self.events.closed(protocol, (&session, &rest), why);
        self.counters.events_lost = self.events.lost();
        // A host that had a port of its own beside a published one speaks from that from now on.
        let inside = session.inside();
        for p in self.published.iter().filter(|p| (p.protocol, p.inside) == (protocol, inside)) {
            let mappings = &mut self.realms[protocol as usize].mappings;
            if mappings.is_published(p.port) {
                mappings.make_primary(p.port);
            }
        }
    }

    /// Forgets every session and dynamic mapping; ports published on `uplink` stay. Returns how
    /// many sessions.
    pub(crate) fn flush(&mut self, uplink: Option<Ipv4Addr>, now: Timestamp) -> u64 {
        let mut flushed = 0;
        for realm in &mut self.realms {
            flushed += u64::from(realm.table.live());
            for (id, session) in realm.table.from(0) {
                let rest = realm.table.rest(id);
                self.ours.flushed(realm.protocol, session.outside_port, session.remote(), now);
                self.events.closed(realm.protocol, (session, rest), Closing::Flushed);
            }
            realm.clear();
        }
        for published in &self.published {
            if published.address.is_some() && published.address != uplink {
                continue;
            }
            let realm = &mut self.realms[published.protocol as usize];
            realm.mappings.publish(published.inside, published.port);
        }
        self.counters.flushed += flushed;
        self.counters.events_lost = self.events.lost();
        flushed
    }

    /// Publishes a port.
    pub(crate) fn publish(&mut self, wanted: Published) -> Result<(), PublishError> {
        let Published { protocol, port, inside, .. } = wanted;
        if protocol == Protocol::Icmp || port == 0 || inside.port == 0 {
            return Err(PublishError::NoPort);
        }
        let mappings = &mut self.realms[protocol as usize].mappings;
        if mappings.is_published(port) {
            return Err(PublishError::Published(protocol, port));
        }
        if mappings.inside(port).is_some() {
            return Err(PublishError::InUse(protocol, port));
        }
        if self.published.len() >= self.limits.published {
            return Err(PublishError::TooMany(self.published.len()));
        }
        mappings.publish(inside, port);
        self.ours.published(protocol, port, true);
        self.published.push(wanted);
        Ok(())
    }

    /// Withdraws a published port; its running sessions go on. False where it was not published.
    pub(crate) fn unpublish(&mut self, protocol: Protocol, port: u16) -> bool {
        let before = self.published.len();
        self.published.retain(|p| (p.protocol, p.port) != (protocol, port));
        if self.published.len() == before {
            return false;
        }
        self.ours.published(protocol, port, false);
        let realm = &mut self.realms[protocol as usize];
        let inside = realm.mappings.inside(port);
        if realm.mappings.withdraw(port)
            && let Some(inside) = inside
        {
            // From now on the port is its host's own.
            realm.quota.add(inside.address, 0, 1);
        }
        true
    }

    pub(crate) fn published(&self) -> &[Published] {
        &self.published
    }
}

#[cfg(test)]
mod tests;
