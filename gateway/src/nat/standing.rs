//! Where the sessions of a realm stand among those that give way ([`super::order`]): each by what it is,
//! and by whether the port of its mapping is free once it has given way, with the others that may.
//!
//! The second changes with the others of the mapping, and with the mapping: so all that are linked to it
//! are looked at ([`Realm::arrange`]) whenever one comes, goes or stands elsewhere, and where the port is
//! published or withdrawn. They are few ([`siblings::MOST`]); of more none frees the port.

use super::order::{self, Standing};
use super::realm::Realm;
use super::session::{MAPPED, NONE, PERMITS};
use super::siblings;

impl Realm {
    /// Gives a session its place among those that give way, or none.
    pub(super) fn stand(&mut self, id: u32, wanted: Option<Standing>) {
        self.withdraw(id);
        let session = self.table.get(id);
        let (mapped, port) = (session.flags & MAPPED != 0, session.outside_port);
        if let Some(standing) = wanted {
            let keeps = !mapped || !self.mappings.is_let_go(port);
            self.from_outside += u32::from(standing == Standing::FromOutside);
            let lists = self.quota.lists_mut(self.table.get(id).node);
            order::enter(lists, &mut self.table.slots, id, (standing, keeps));
        }
        if mapped {
            self.arrange(port);
        }
    }

    /// Takes a session from among those that give way.
    pub(super) fn withdraw(&mut self, id: u32) {
        let session = self.table.get(id);
        self.from_outside -= u32::from(session.standing() == Some(Standing::FromOutside));
        order::leave(self.quota.lists_mut(session.node), &mut self.table.slots, id);
    }

    /// Before `id` is displaced: those that were passed over for it have had their turn.
    pub(crate) fn pass_over(&mut self, id: u32) {
        let lists = self.quota.lists_mut(self.table.get(id).node);
        order::pass_over(lists, &mut self.table.slots, id);
    }

    /// One session more of a mapping. With one too many for all of them to give way together none of
    /// them frees the port.
    pub(super) fn acquire(&mut self, port: u16, id: u32) {
        let before = self.linked(port);
        self.mappings.acquire(port, id, &mut self.table.slots);
        if self.mappings.sessions_of(port, &self.table.slots).is_none() {
            before.into_iter().filter(|id| *id != NONE).for_each(|id| self.keep(id, true));
        }
    }

    /// Has the sessions of a mapping stand where they belong: those that stand last of them free the port
    /// when they give way, and all with them, unless one of them stays.
    pub(super) fn arrange(&mut self, port: u16) {
        let linked = self.linked(port);
        let linked = || linked.into_iter().filter(|id| *id != NONE);
        let last = match self.mappings.is_let_go(port) {
            true => linked().try_fold(Standing::Closed, |last, id| {
                self.table.get(id).standing().map(|own| own.max(last))
            }),
            false => None,
        };
        for id in linked() {
            let standing = self.table.get(id).standing();
            self.keep(id, last.is_none() || standing != last);
        }
    }

    /// A session goes on with the port of its mapping towards its remote, and is of none any more.
    pub(super) fn set_apart(&mut self, id: u32) {
        let session = *self.table.get(id);
        self.withhold(&session);
        self.release(id);
        self.table.get_mut(id).flags &= !(MAPPED | PERMITS);
        self.keep(id, true);
    }

    /// Puts a session, where it stands somewhere, among those that free a port, or the others.
    fn keep(&mut self, id: u32, keeps: bool) {
        let session = self.table.get(id);
        if let Some(standing) = session.standing()
            && session.keeps() != keeps
        {
            let lists = self.quota.lists_mut(session.node);
            order::leave(lists, &mut self.table.slots, id);
            order::enter(lists, &mut self.table.slots, id, (standing, keeps));
        }
    }

    /// The sessions of a mapping, where they are few; the others are [`NONE`].
    fn linked(&self, port: u16) -> [u32; siblings::MOST as usize] {
        let mut all = [NONE; siblings::MOST as usize];
        let linked = self.mappings.sessions_of(port, &self.table.slots);
        all.iter_mut().zip(linked.into_iter().flatten()).for_each(|(own, id)| *own = id);
        all
    }
}
