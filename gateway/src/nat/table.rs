//! The sessions of one protocol: slots, the two ways to find one, and when each ends.
//!
//! By inside and remote endpoint (a packet going out) and by outside port and remote endpoint (a
//! packet coming in); both keys are unique. When full, [`Table::insert`] refuses: the living are
//! never evicted. No decision is made here.

use wire::Timestamp;

use super::index::Index;
use super::session::{Rest, Session, State};
use super::slots::Slots;
use super::wheel::Wheel;
use crate::hash::Key;
use crate::packet::Endpoint;

/// Sessions at a time that are a flood's, and no more likely to come again than others.
const MANY: usize = 4096;

/// A bounded table of sessions.
#[derive(Debug)]
pub struct Table {
    pub(crate) slots: Slots,
    capacity: u32,
    live: u32,
    by_inside: Index,
    by_outside: Index,
    key: Key,
    wheel: Wheel,
}

impl Table {
    /// An empty table; the memory is taken as it fills.
    #[must_use]
    pub fn new(capacity: u32, seed: u64) -> Self {
        Self {
            slots: Slots::new(capacity),
            capacity,
            live: 0,
            by_inside: Index::new(capacity as usize),
            by_outside: Index::new(capacity as usize),
            key: Key::new(seed, 1),
            wheel: Wheel::new(),
        }
    }

    /// Sessions in it.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.live
    }

    /// Sessions that still fit.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.capacity - self.live
    }

    /// Bytes of memory when full.
    #[must_use]
    pub fn bytes(&self) -> usize {
        Slots::bytes(self.capacity)
            + self.by_inside.bytes()
            + self.by_outside.bytes()
            + self.wheel.bytes()
    }

    /// The session of a packet that goes out.
    #[must_use]
    #[inline]
    pub fn find_out(&self, inside: Endpoint, remote: Endpoint) -> Option<u32> {
        self.by_inside
            .find(hash_out(self.key, inside, remote), |id| self.get(id).is_outbound(inside, remote))
    }

    /// The session of a packet that comes in.
    #[must_use]
    #[inline]
    pub fn find_in(&self, outside_port: u16, remote: Endpoint) -> Option<u32> {
        self.by_outside.find(hash_in(self.key, outside_port, remote), |id| {
            self.get(id).is_inbound(outside_port, remote)
        })
    }

    #[inline]
    pub(crate) fn get(&self, id: u32) -> &Session {
        &self.slots.sessions[id as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: u32) -> &mut Session {
        &mut self.slots.sessions[id as usize]
    }

    #[inline]
    pub(crate) fn rest(&self, id: u32) -> &Rest {
        &self.slots.rests[id as usize]
    }

    #[inline]
    pub(crate) fn rest_mut(&mut self, id: u32) -> &mut Rest {
        &mut self.slots.rests[id as usize]
    }

    /// Adds a session whose two keys are new; None where the table is full.
    pub(crate) fn insert(&mut self, session: Session, now: Timestamp) -> Option<u32> {
        if self.live == self.capacity {
            return None;
        }
        let id = self.slots.take(session)?;
        self.live += 1;
        let [out, back] = hashes(self.key, &session);
        self.by_inside.insert(out, id);
        self.by_outside.insert(back, id);
        self.wheel.link(&mut self.slots, id, now);
        Some(id)
    }

    /// Takes a session out and returns it.
    pub(crate) fn remove(&mut self, id: u32) -> (Session, Rest) {
        let removed = (*self.get(id), *self.rest(id));
        self.wheel.unlink(&mut self.slots, id);
        let (slots, key) = (&self.slots, self.key);
        let of = |id: u32| hashes(key, &slots.sessions[id as usize]);
        let [out, back] = of(id);
        self.by_inside.remove(out, id, |id| of(id)[0]);
        self.by_outside.remove(back, id, |id| of(id)[1]);
        self.slots.give(id);
        self.live -= 1;
        removed
    }

    /// Gives a session a new end.
    #[inline]
    pub(crate) fn set_expiry(&mut self, id: u32, expires: Timestamp) {
        self.get_mut(id).expires = expires;
        self.wheel.moved(&mut self.slots, id);
    }

    /// A session that has ended by `now` and is still in the table.
    pub(crate) fn expired(&mut self, now: Timestamp, budget: &mut u32) -> Option<u32> {
        self.wheel.expired(&mut self.slots, now, budget)
    }

    /// When [`Table::expired`] may next have something.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.wheel.next()
    }

    /// The living sessions from a slot on.
    pub(crate) fn from(&self, slot: u32) -> impl Iterator<Item = (u32, &Session)> {
        self.all_from(slot).filter(|(_, s)| s.state != State::Free)
    }

    /// All slots from one on, free ones too.
    pub(crate) fn all_from(&self, slot: u32) -> impl Iterator<Item = (u32, &Session)> {
        let sessions = self.slots.sessions.get(slot as usize..).unwrap_or_default();
        (slot..).zip(sessions)
    }

    /// Gives back the memory that a great many sessions had, once none is left.
    pub(crate) fn shrink(&mut self) {
        if self.live == 0 && self.slots.used() >= MANY {
            self.clear();
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.live = 0;
        self.by_inside.clear();
        self.by_outside.clear();
        self.wheel.clear();
    }

    #[cfg(test)]
    pub(crate) fn index_lengths(&self) -> (usize, usize) {
        (self.by_inside.len(), self.by_outside.len())
    }
}

/// Where `by_inside` keeps a session, and where `by_outside` does.
fn hashes(key: Key, session: &Session) -> [u64; 2] {
    let remote = session.remote();
    [hash_out(key, session.inside(), remote), hash_in(key, session.outside_port, remote)]
}

#[inline]
fn hash_out(key: Key, inside: Endpoint, remote: Endpoint) -> u64 {
    key.mix(pair(inside), pair(remote))
}

#[inline]
fn hash_in(key: Key, outside_port: u16, remote: Endpoint) -> u64 {
    key.mix(u64::from(outside_port) | 1 << 63, pair(remote))
}

#[inline]
fn pair(end: Endpoint) -> u64 {
    u64::from(u32::from(end.address)) << 16 | u64::from(end.port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    fn session(number: u16) -> Session {
        Session {
            expires: at(30),
            inside: 0x0a00_0001,
            remote: 0x0808_0808,
            inside_port: number,
            outside_port: number,
            remote_port: 53,
            state: State::Active,
            ..Session::default()
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(Duration::from_secs(seconds).as_nanos().try_into().unwrap())
    }

    #[test]
    fn the_room_of_many_is_given_back_once_none_is_left() {
        let mut table = Table::new(20_000, 1);
        for (many, kept) in [(10_000, 0), (100, 100)] {
            let ids: Vec<_> =
                (1..=many).map(|n| table.insert(session(n), at(0)).unwrap()).collect();
            table.shrink();
            assert_eq!((table.live(), table.slots.used()), (many.into(), many.into()));
            for id in ids {
                table.remove(id);
            }
            table.shrink();
            assert_eq!((table.live(), table.slots.used()), (0, kept));
            assert_eq!((table.index_lengths(), table.next_expiry()), ((0, 0), None));
        }
    }
}
