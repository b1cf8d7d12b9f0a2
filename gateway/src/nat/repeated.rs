//! Sessions whose packets others send on by themselves ([`crate::repeat`]).
//!
//! What they did counts as if each packet had come here. It is taken back before a packet changes
//! what the session is, and before the session ends, so that its last figures are whole.

use wire::Timestamp;

use super::Nat;
use super::realm::{Load, Realm, standing};
use super::session::{EMBRYONIC, FRESH, STANDING, State, USED};
use crate::packet::Protocol;
use crate::repeat::{Repeated, SessionId};

/// Places of sessions that may be repeated: a bit each, up to the last.
#[derive(Debug, Default)]
pub(crate) struct Places(Vec<u64>);

impl Places {
    fn put(&mut self, place: u32) {
        let at = place as usize / 64;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (place % 64);
    }

    /// Whether it was there; it is no longer.
    #[inline]
    fn take(&mut self, place: u32) -> bool {
        let Some(word) = self.0.get_mut(place as usize / 64) else { return false };
        let (before, bit) = (*word, 1 << (place % 64));
        *word &= !bit;
        before & bit != 0
    }
}

impl Nat {
    /// Counts what was repeated of a session, if that is still there.
    pub(crate) fn repeated(&mut self, done: &Repeated) {
        let Some(SessionId { protocol, place }) = done.way.session else { return };
        self.realms[protocol as usize].repeated(place, done);
    }

    /// A packet of a session comes, out or in: where it changes the session, nobody repeats that any
    /// more.
    #[inline]
    pub(super) fn before(&mut self, protocol: Protocol, id: u32, load: Load, out: bool) {
        let changes = match load.flags {
            Some(flags) => flags.syn() || flags.fin() || flags.rst(),
            // The first answer.
            None => !out && self.realm(protocol).table.get(id).state == State::Opened,
        };
        if changes {
            self.take_back(protocol, id);
        }
    }

    /// A session's packets may be repeated from now on.
    pub(crate) fn give(&mut self, SessionId { protocol, place }: SessionId) {
        self.given[protocol as usize].put(place);
    }

    /// Nobody repeats anything of a session any more.
    #[inline]
    pub(super) fn take_back(&mut self, protocol: Protocol, place: u32) {
        if self.given[protocol as usize].take(place) {
            self.fetch(protocol, place);
        }
    }

    #[inline(never)]
    fn fetch(&mut self, protocol: Protocol, place: u32) {
        let Some(repeater) = &mut self.repeater else { return };
        for done in repeater.over(Some(SessionId { protocol, place })) {
            self.repeated(&done);
        }
    }

    /// The same of all.
    pub(super) fn take_back_all(&mut self) {
        let Some(repeater) = &mut self.repeater else { return };
        self.given = Default::default();
        for done in repeater.over(None) {
            self.repeated(&done);
        }
    }
}

impl Realm {
    /// Whether another packet like the last one, which went out or came in, would change nothing of
    /// a session but its figures and its end.
    pub(crate) fn is_steady(&self, id: u32, out: bool) -> bool {
        let session = self.table.get(id);
        let stays = match self.protocol {
            Protocol::Tcp => {
                matches!(session.state, State::Established | State::FinOut | State::FinIn)
            }
            // What nobody answers goes one way for as long as it likes: logs, measurements, pictures.
            Protocol::Udp | Protocol::Icmp => {
                session.state == State::Active || out && session.state == State::Opened
            }
        };
        let settled = out && session.state == State::Active;
        let placed = session.flags & STANDING == 0
            || standing(session, settled) == session.standing()
                && session.flags & (FRESH | USED) == USED;
        stays && placed && session.flags & EMBRYONIC == 0
    }

    fn repeated(&mut self, id: u32, done: &Repeated) {
        let Repeated { packets, bytes, seen, .. } = *done;
        let out = done.way.from.is_inside();
        if self.table.slots.sessions.get(id as usize).is_none_or(|s| s.state == State::Free) {
            return;
        }
        let more = u32::try_from(packets).unwrap_or(u32::MAX);
        let rest = self.table.rest_mut(id);
        if out {
            rest.packets_out = rest.packets_out.saturating_add(more);
            rest.bytes_out.add(bytes);
        } else {
            rest.packets_in = rest.packets_in.saturating_add(more);
            rest.bytes_in.add(bytes);
        }
        let session = self.table.get_mut(id);
        if session.flags & STANDING != 0 {
            session.flags |= USED;
        }
        // As a packet of its own would: TCP either way, others from inside (RFC 4787 REQ-6).
        let (state, expires) = (session.state, session.expires);
        let lasts: Timestamp = seen + state.lifetime(self.protocol, &self.lifetimes);
        if (out || self.protocol == Protocol::Tcp) && lasts > expires {
            self.table.set_expiry(id, lasts);
        }
    }
}
