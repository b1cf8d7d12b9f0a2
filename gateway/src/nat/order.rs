//! Which sessions give way when there is no room, and in which order.
//!
//! Linux drops what is not assured first; so does this. A session that gives way stands in one of
//! three lists of its node: closed ones, those the outside has opened, those the inside has opened
//! and that are not established. Each list is in the order in which they came; one that has been
//! used since gets another turn, so that the first is about the least recently used. Established
//! connections, and what both sides keep speaking by, stand in none and are never displaced.
//!
//! What the inside opens displaces any of the three, what the outside opens only the first two: no
//! flood from outside takes from what a node has opened itself. Finding one costs [`TURNS`] looks.

use super::session::{NONE, STANDING, Session, State, USED};
use super::slots::Slots;

/// How many are looked at for one that has not been used.
const TURNS: usize = 8;

/// A list a session may stand in; the first gives way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Standing {
    /// Both sides have closed, or one has reset.
    Closed,
    /// The outside has opened it. UDP stays here for good: either side opens it again.
    FromOutside,
    /// The inside has opened it: not established, or a question with its answer.
    FromInside,
}

/// Those that what the inside opens displaces.
pub(crate) const ALL: &[Standing] =
    &[Standing::Closed, Standing::FromOutside, Standing::FromInside];
/// Those that what the outside opens displaces.
pub(crate) const FOR_OUTSIDE: &[Standing] = &[Standing::Closed, Standing::FromOutside];

/// The neighbours of a session in its list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    prev: u32,
    next: u32,
}

impl Default for Place {
    fn default() -> Self {
        Self { prev: NONE, next: NONE }
    }
}

/// One node's sessions of one standing, the oldest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    head: u32,
    tail: u32,
    pub(crate) length: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { head: NONE, tail: NONE, length: 0 }
    }
}

/// The three lists of a node.
pub(crate) type Lists = [List; 3];

impl Session {
    /// The list it stands in.
    #[inline]
    pub(crate) fn standing(&self) -> Option<Standing> {
        match (self.flags & STANDING) >> STANDING.trailing_zeros() {
            0 => None,
            1 => Some(Standing::Closed),
            2 => Some(Standing::FromOutside),
            _ => Some(Standing::FromInside),
        }
    }

    fn stand(&mut self, standing: Option<Standing>) {
        let number = standing.map_or(0, |standing| standing as u8 + 1);
        self.flags = self.flags & !(STANDING | USED) | number << STANDING.trailing_zeros();
    }
}

/// Puts a session at the end of a list.
pub(crate) fn enter(lists: &mut Lists, slots: &mut Slots, id: u32, standing: Standing) {
    let list = &mut lists[standing as usize];
    slots.sessions[id as usize].stand(Some(standing));
    slots.places[id as usize] = Place { prev: list.tail, next: NONE };
    match list.tail {
        NONE => list.head = id,
        tail => slots.places[tail as usize].next = id,
    }
    list.tail = id;
    list.length += 1;
}

/// Takes a session out of its list, where it stands in one.
pub(crate) fn leave(lists: &mut Lists, slots: &mut Slots, id: u32) {
    let Some(standing) = slots.sessions[id as usize].standing() else { return };
    let list = &mut lists[standing as usize];
    let Place { prev, next } = slots.places[id as usize];
    match prev {
        NONE => list.head = next,
        prev => slots.places[prev as usize].next = next,
    }
    match next {
        NONE => list.tail = prev,
        next => slots.places[next as usize].prev = prev,
    }
    list.length -= 1;
    slots.sessions[id as usize].stand(None);
}

/// The session that gives way first of those that fit. `used` says whether one has been used since it got
/// its place, and None of one that does not fit.
pub(crate) fn first(
    lists: &Lists,
    slots: &Slots,
    among: &[Standing],
    used: impl Fn(&Session) -> Option<bool>,
) -> Option<u32> {
    among.iter().find_map(|standing| {
        let mut oldest = None;
        let mut at = lists[*standing as usize].head;
        for _ in 0..TURNS {
            if at == NONE {
                break;
            }
            let session = &slots.sessions[at as usize];
            debug_assert!(session.state != State::Free);
            match used(session) {
                Some(false) => return Some(at),
                Some(true) => oldest = oldest.or(Some(at)),
                None => {}
            }
            at = slots.places[at as usize].next;
        }
        oldest
    })
}

/// `id` gives way: those before it that have been used had their turn and go to the end.
pub(crate) fn pass_over(lists: &mut Lists, slots: &mut Slots, id: u32) {
    let Some(standing) = slots.sessions[id as usize].standing() else { return };
    for _ in 0..TURNS {
        let head = lists[standing as usize].head;
        if head == id || head == NONE || slots.sessions[head as usize].flags & USED == 0 {
            return;
        }
        leave(lists, slots, head);
        enter(lists, slots, head, standing);
    }
}
