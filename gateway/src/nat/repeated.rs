//! Sessions whose packets others send on by themselves ([`crate::repeat`]).
//!
//! What they did counts as if each packet had come here. It is taken back before a packet changes
//! what the session is, and before the session ends, so that its last figures are whole.

use std::time::Duration;

use wire::Timestamp;
use wire::tcp::Flags;

use super::Nat;
use super::realm::{Load, Realm, standing};
use super::session::{EMBRYONIC, STANDING, State, USED};
use super::tcp::{self, Sender};
use crate::packet::Protocol;
use crate::repeat::{Repeated, SessionId};

/// All that was repeated is asked for no more often than this, for all of it is looked at: before
/// somebody gives way, of whom it is asked anyway ([`Nat::is_another`]), and before somebody is refused.
pub(super) const DISPLACED: Duration = Duration::from_millis(20);
pub(crate) const REFUSED: Duration = Duration::from_millis(1);

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
    /// Counts what was repeated, of sessions that are still there. What was said of a session whose
    /// connection has ended both ways by it holds no more.
    pub(crate) fn repeated(&mut self, told: &[Repeated]) {
        // All else of a connection comes after the answer.
        for done in told.iter().filter(|done| done.answered) {
            let Some(SessionId { protocol, place }) = done.way.session else { continue };
            self.realms[protocol as usize].answered(place, done);
        }
        for done in told {
            let Some(SessionId { protocol, place }) = done.way.session else { continue };
            self.realms[protocol as usize].repeated(place, done);
        }
        // Which end came first decides until when a session stays.
        let end = |done: &Repeated| Some((done.ended?, done.way.session?, sender(done)));
        let mut ends: Vec<_> = told.iter().filter_map(end).collect();
        ends.sort_unstable_by_key(|(at, ..)| *at);
        for (at, SessionId { protocol, place }, from) in ends {
            if self.realms[protocol as usize].ended(place, from, at) == State::Closing {
                self.take_back(protocol, place);
            }
        }
    }

    /// A packet of a session comes, out or in: where it changes what becomes of others, nobody repeats
    /// those any more. Of FINs the one does that ends the connection: then nothing of the other side's end
    /// can be under way.
    #[inline]
    pub(super) fn before(&mut self, protocol: Protocol, id: u32, load: Load, out: bool) {
        let changes = match load.flags {
            Some(flags) => {
                let from = if out { Sender::Inside } else { Sender::Outside };
                let state = self.realm(protocol).table.get(id).state;
                let ends = |state| tcp::step(state, from, flags).0 == State::Closing;
                // The answer may have been repeated, before which nothing else goes on.
                let opens = flags.syn() || matches!(state, State::SynOut | State::SynIn);
                opens || flags.rst() || flags.fin() && ends(state)
            }
            // The first answer.
            None => !out && self.realm(protocol).table.get(id).state == State::Opened,
        };
        if changes {
            self.take_back(protocol, id);
        }
    }

    /// Whether a session that is to give way is another than it seemed: what was repeated of it is told
    /// now.
    pub(super) fn is_another(&mut self, protocol: Protocol, id: u32) -> bool {
        let before = self.realm(protocol).table.get(id).standing();
        self.take_back(protocol, id);
        self.realm(protocol).table.get(id).standing() != before
    }

    /// Has all sessions be what was repeated of them, before somebody gives way or is refused for want of
    /// room. False where that was so so short a time ago.
    pub(crate) fn hear(&mut self, span: Duration, now: Timestamp) -> bool {
        let Some(repeater) = self.repeater.as_mut().filter(|_| now >= self.heard + span) else {
            return false;
        };
        self.heard = now;
        let told = repeater.sessions();
        self.repeated(&told);
        !told.is_empty()
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
        let told = repeater.over(Some(SessionId { protocol, place }));
        self.repeated(&told);
    }

    /// The same of all.
    pub(super) fn take_back_all(&mut self) {
        let Some(repeater) = &mut self.repeater else { return };
        self.given = Default::default();
        let told = repeater.over(None);
        self.repeated(&told);
    }
}

impl Realm {
    /// Whether another packet like the last one, which went out or came in, would change nothing of
    /// a session but its figures and its end, and of a connection its state.
    pub(crate) fn is_steady(&self, id: u32, out: bool) -> bool {
        let session = self.table.get(id);
        let stays = match self.protocol {
            // Any segment that is repeated takes up what is opening, and is told so.
            Protocol::Tcp => {
                use State::{Established, FinIn, FinOut, Opening};
                return matches!(session.state, Opening | Established | FinOut | FinIn);
            }
            // What nobody answers goes one way for as long as it likes: logs, measurements, pictures.
            Protocol::Udp | Protocol::Icmp => {
                session.state == State::Active || out && session.state == State::Opened
            }
        };
        let settled = out && session.state == State::Active;
        let placed = session.flags & STANDING == 0
            || standing(session, settled) == session.standing() && session.flags & USED != 0;
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
        if packets == 0 {
            return;
        }
        if self.protocol == Protocol::Tcp {
            self.segment(id, sender(done), Flags(Flags::ACK), seen);
            return;
        }
        let session = self.table.get_mut(id);
        if session.flags & STANDING != 0 {
            session.flags |= USED;
        }
        // As a packet of its own would, from inside (RFC 4787 REQ-6).
        if out {
            self.prolong(id, seen);
        }
    }

    /// What answers a SYN was repeated: as a packet, for its bytes are among those of all.
    fn answered(&mut self, id: u32, done: &Repeated) {
        if self.table.slots.sessions.get(id as usize).is_none_or(|s| s.state == State::Free) {
            return;
        }
        let from = sender(done);
        let rest = self.table.rest_mut(id);
        let packets = match from {
            Sender::Inside => &mut rest.packets_out,
            Sender::Outside => &mut rest.packets_in,
        };
        *packets = packets.saturating_add(1);
        self.segment(id, from, Flags(Flags::SYN | Flags::ACK), done.seen);
    }

    /// The first segment with FIN in one direction was repeated; the state after it.
    fn ended(&mut self, id: u32, from: Sender, at: Timestamp) -> State {
        let there = self.table.slots.sessions.get(id as usize);
        if there.is_none_or(|session| session.state == State::Free) {
            return State::Free;
        }
        self.segment(id, from, Flags(Flags::FIN | Flags::ACK), at);
        self.table.get(id).state
    }

    /// A segment was repeated, some time ago.
    fn segment(&mut self, id: u32, from: Sender, flags: Flags, at: Timestamp) {
        let before = self.table.get(id).state;
        let (state, refresh) = tcp::step(before, from, flags);
        let settled = from == Sender::Inside && tcp::goes_on(flags);
        let stands = self.table.get(id).flags & STANDING != 0;
        if state != before || settled && stands {
            self.advance(id, state, (refresh && state == State::Closing, settled), at);
        }
        if refresh && state != State::Closing {
            self.prolong(id, at);
        }
    }

    /// A session lives on from then, if it does not live longer.
    fn prolong(&mut self, id: u32, from: Timestamp) {
        let session = self.table.get(id);
        let lasts = from + session.state.lifetime(self.protocol, &self.lifetimes);
        if lasts > session.expires {
            self.table.set_expiry(id, lasts);
        }
    }
}

/// Who sent what was repeated.
fn sender(done: &Repeated) -> Sender {
    if done.way.from.is_inside() { Sender::Inside } else { Sender::Outside }
}
