//! Decisions about what nobody has answered yet: written down once it is.
//!
//! The first segment of a connection shows how the next ones go, and who only knocks at ports sends no
//! other. So its decision is kept here until the answer comes by. Bounds: [`ROOM`]; who comes later
//! takes the place of another, whose frames then go by the ring a little longer.

use std::hash::{BuildHasher, RandomState};

use bpf::Ends;

use super::flow::Decided;

/// Connections that may be waiting.
const ROOM: usize = 1024;

#[derive(Default)]
pub(super) struct Pending {
    /// By the ends of the answer; made when the first one comes.
    places: Vec<Option<(Ends, Decided<'static>)>>,
    hash: RandomState,
}

impl Pending {
    /// A decision about packets that leave with these ends waits for an answer.
    pub(super) fn put(&mut self, leaves: &Ends, decided: Decided<'static>) {
        if self.places.is_empty() {
            self.places.resize_with(ROOM, || None);
        }
        let answer = answer_to(leaves);
        let at = self.place(&answer);
        self.places[at] = Some((answer, decided));
    }

    /// A packet that leaves with these ends waits for no answer.
    pub(super) fn forget(&mut self, leaves: &Ends) {
        let _ = self.take(&answer_to(leaves));
    }

    /// What waited for an answer with these ends.
    pub(super) fn take(&mut self, answer: &Ends) -> Option<Decided<'static>> {
        if self.places.is_empty() {
            return None;
        }
        let at = self.place(answer);
        self.places[at].take_if(|(ends, _)| ends == answer).map(|(_, decided)| decided)
    }

    fn place(&self, answer: &Ends) -> usize {
        let low = self.hash.hash_one(answer) & (ROOM as u64 - 1);
        usize::try_from(low).unwrap_or(0)
    }
}

fn answer_to(leaves: &Ends) -> Ends {
    Ends { src: leaves.dst, dst: leaves.src, ..*leaves }
}
