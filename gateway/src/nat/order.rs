//! Which sessions give way when there is no room, and in which order.
//!
//! Linux drops what is not assured first; so does this. A session that gives way stands in a list of
//! its node: closed ones, those the outside has opened, those the inside has opened and that are not
//! established. Of each there are two lists: those whose mapping ends when they give way, and those
//! whose end frees no port, for it is published, or of a session that stays. So whoever wants a port
//! never looks through the others, ever so many of which may have closed at a published one. Each list
//! is in the order in which they came; one that has been used since gets another turn, so that the
//! first is about the least recently used. Established connections, and what both sides keep speaking
//! by, stand in none and are never displaced.
//!
//! What the inside opens displaces any of them, what the outside opens only the first two kinds: no
//! flood from outside takes from what a node has opened itself. Finding one costs [`TURNS`] looks a list.

use super::session::{KEEPS, NONE, STANDING, Session, State, USED};
use super::slots::Slots;

/// How many are looked at for one that has not been used.
const TURNS: usize = 8;

/// The kind of list a session stands in; the first gives way first.
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

/// What is wanted of one that gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Its place in the table.
    Place,
    /// The port of its mapping.
    Port,
}

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
    length: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { head: NONE, tail: NONE, length: 0 }
    }
}

/// The lists of a node: of each standing those that free a port, and those that do not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lists([[List; 2]; 3]);

impl Lists {
    fn of(&mut self, standing: Standing, keeps: bool) -> &mut List {
        &mut self.0[standing as usize][usize::from(keeps)]
    }

    /// Those of one standing that have what is wanted.
    fn with(&self, standing: Standing, wanted: Wanted) -> &[List] {
        let lists = &self.0[standing as usize];
        if wanted == Wanted::Port { &lists[..1] } else { lists }
    }

    /// How many sessions stand there.
    pub(crate) fn length(&self, standing: Standing, wanted: Wanted) -> u32 {
        self.with(standing, wanted).iter().map(|list| list.length).sum()
    }
}

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

    /// True where its end frees no port, of one that stands somewhere.
    pub(crate) fn keeps(&self) -> bool {
        self.flags & KEEPS != 0
    }

    fn stand(&mut self, standing: Option<Standing>, keeps: bool) {
        let number = standing.map_or(0, |standing| standing as u8 + 1);
        self.flags = self.flags & !(STANDING | KEEPS | USED) | number << STANDING.trailing_zeros();
        self.flags |= if keeps { KEEPS } else { 0 };
    }
}

/// Puts a session at the end of a list.
pub(crate) fn enter(
    lists: &mut Lists,
    slots: &mut Slots,
    id: u32,
    (standing, keeps): (Standing, bool),
) {
    let list = lists.of(standing, keeps);
    slots.sessions[id as usize].stand(Some(standing), keeps);
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
    let session = &slots.sessions[id as usize];
    let Some(standing) = session.standing() else { return };
    let list = lists.of(standing, session.keeps());
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
    slots.sessions[id as usize].stand(None, false);
}

/// The session that gives way first of those that fit. `used` says whether one has been used since it got
/// its place, and None of one that does not fit.
pub(crate) fn first(
    lists: &Lists,
    slots: &Slots,
    (among, wanted): (&[Standing], Wanted),
    used: impl Fn(&Session) -> Option<bool>,
) -> Option<u32> {
    among.iter().find_map(|standing| {
        let lists = lists.with(*standing, wanted).iter();
        let found = lists.filter_map(|list| first_of(list, slots, &used));
        // Of two the one that would end first by itself.
        let first = found.min_by_key(|(used, id)| (*used, slots.sessions[*id as usize].expires));
        first.map(|(_, id)| id)
    })
}

/// The same of one list, and whether it has been used.
fn first_of(
    list: &List,
    slots: &Slots,
    used: impl Fn(&Session) -> Option<bool>,
) -> Option<(bool, u32)> {
    let mut oldest = None;
    let mut at = list.head;
    for _ in 0..TURNS {
        if at == NONE {
            break;
        }
        let session = &slots.sessions[at as usize];
        debug_assert!(session.state != State::Free);
        match used(session) {
            Some(false) => return Some((false, at)),
            Some(true) => oldest = oldest.or(Some((true, at))),
            None => {}
        }
        at = slots.places[at as usize].next;
    }
    oldest
}

/// `id` gives way: those before it that were passed over, as they have been used or do not fit, had their
/// turn and go to the end.
pub(crate) fn pass_over(lists: &mut Lists, slots: &mut Slots, id: u32) {
    let session = &slots.sessions[id as usize];
    let Some(standing) = session.standing() else { return };
    let keeps = session.keeps();
    for _ in 1..TURNS {
        let head = lists.of(standing, keeps).head;
        if head == id || head == NONE {
            return;
        }
        leave(lists, slots, head);
        enter(lists, slots, head, (standing, keeps));
    }
}
