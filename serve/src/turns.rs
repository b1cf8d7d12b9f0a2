//! One call at a time for a container's place: a plugin that was killed while it waited for its answer is
//! followed by another, and what the first asked for is not done yet; dockerd may take a container away while
//! it joins. Held by whoever answers plugins and Docker, and by whoever hears of links that have vanished.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

/// The places that something is done for.
#[derive(Default)]
pub(crate) struct Turns {
    taken: Mutex<BTreeSet<String>>,
    given: Condvar,
}

/// The turn of one, until it is dropped.
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
    endpoint: String,
}

impl Turns {
    /// Waits for the turn of a place. Who has it is done in some milliseconds, and takes no other.
    pub(crate) fn of(&self, endpoint: &str) -> Turn<'_> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.given.wait_while(taken, |taken| taken.contains(endpoint));
        waited.unwrap_or_else(PoisonError::into_inner).insert(endpoint.to_owned());
        Turn { turns: self, endpoint: endpoint.to_owned() }
    }

    /// The turn of a place, where nobody has it.
    pub(crate) fn try_of(&self, endpoint: &str) -> Option<Turn<'_>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let free = taken.insert(endpoint.to_owned());
        free.then(|| Turn { turns: self, endpoint: endpoint.to_owned() })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.turns.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.endpoint);
        self.turns.given.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_turn_at_a_time() {
        let (turns, inside) = (Turns::default(), Mutex::new(()));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let _turn = turns.of("one");
                        let _alone = inside.try_lock().expect("another one has the turn too");
                        std::thread::yield_now();
                    }
                });
            }
        });
        let one = turns.of("one");
        assert!(turns.try_of("one").is_none());
        drop(one);
        assert!(turns.try_of("one").is_some(), "it was given back, and is again");
        // Those of two places are two.
        let _both = (turns.of("one"), turns.of("two"));
    }
}
