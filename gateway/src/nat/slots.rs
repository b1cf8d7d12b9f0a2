//! The slots of a table, each in three parts that lie apart.
//!
//! A look-up reads a [`Session`] and nothing else, so a million of them take 32 MB where whole
//! slots would take 64, of which no cache holds much; what a packet adds up and what only the wheel
//! wants is in the [`Rest`], and nothing waits for that; its [`Place`] among those that give way
//! changes a few times in its life. Owned by [`super::table::Table`], which
//! refuses what is more than its capacity. A freed slot is the first to be used again.

use super::order::Place;
use super::session::{NONE, Rest, Session};

/// The parts of every slot that has ever been used.
#[derive(Debug)]
pub(crate) struct Slots {
    pub(crate) sessions: Vec<Session>,
    pub(crate) rests: Vec<Rest>,
    pub(crate) places: Vec<Place>,
    /// The first of the freed slots, which are linked through `next`.
    free: u32,
}

impl Slots {
    /// None yet; the memory is taken as they are used.
    pub(crate) fn new(capacity: u32) -> Self {
        let capacity = capacity as usize;
        let (sessions, rests) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        Self { sessions, rests, places: Vec::with_capacity(capacity), free: NONE }
    }

    /// Bytes of memory of so many.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        capacity as usize * (size_of::<Session>() + size_of::<Rest>() + size_of::<Place>())
    }

    /// Puts a session into a slot; None where their numbers are used up.
    pub(crate) fn take(&mut self, session: Session) -> Option<u32> {
        let id = self.free;
        if id == NONE {
            let id = u32::try_from(self.sessions.len()).ok()?;
            self.sessions.push(session);
            self.rests.push(Rest::default());
            self.places.push(Place::default());
            return Some(id);
        }
        self.free = self.rests[id as usize].next;
        self.sessions[id as usize] = session;
        self.rests[id as usize] = Rest::default();
        Some(id)
    }

    /// Frees a slot.
    pub(crate) fn give(&mut self, id: u32) {
        self.sessions[id as usize] = Session::default();
        self.rests[id as usize].next = self.free;
        self.free = id;
    }

    /// How many have been used at a time, at most.
    pub(crate) fn used(&self) -> usize {
        self.sessions.len()
    }

    /// Forgets all of them, and gives their memory back.
    pub(crate) fn clear(&mut self) {
        let capacity = u32::try_from(self.sessions.capacity()).unwrap_or(u32::MAX);
        *self = Self::new(capacity);
    }
}
