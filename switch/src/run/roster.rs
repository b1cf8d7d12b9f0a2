//! Which numbers ports get, and how often it has changed who is there.
//!
//! Whoever looks on keeps numbers and looks up what they stand for. So a number that is free again is
//! given out last, after all others: whoever is slow takes no new port for the one that is gone. And
//! each change of ports and networks makes another version, by which it is seen that names and
//! choices of ports have to be looked up anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use crate::core::PortId;

/// The versions of a switch's ports and networks; a clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Roster(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    version: AtomicU64,
    /// The number that is tried first.
    next: AtomicU16,
}

impl Roster {
    /// Another one after each change. What is looked up after this was read is of this version at least.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// Who is there changes, or what it is called: told before whoever looks can see it, or while they
    /// wait for a lock.
    pub(super) fn turn(&self) {
        self.0.version.fetch_add(1, Ordering::Release);
    }

    /// A number for one more port: the one that has been free for longest, as far as numbers go round.
    /// Called under the lock of the ports.
    pub(super) fn number(&self, is_taken: impl Fn(PortId) -> bool) -> Option<PortId> {
        let all = u16::try_from(PortId::MAX).unwrap_or(u16::MAX);
        let first = self.0.next.load(Ordering::Relaxed);
        let id = (first..all).chain(0..first).map(PortId).find(|id| !is_taken(*id))?;
        self.0.next.store((id.0 + 1) % all, Ordering::Relaxed);
        self.turn();
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_number_that_is_free_again_is_given_out_last() {
        let (roster, mut taken) = (Roster::default(), BTreeSet::new());
        let add = |taken: &mut BTreeSet<PortId>| {
            let id = roster.number(|id| taken.contains(&id)).unwrap();
            assert!(taken.insert(id), "{id:?} is another port's");
            id.0
        };
        assert_eq!([add(&mut taken), add(&mut taken), add(&mut taken)], [0, 1, 2]);
        taken.remove(&PortId(1));
        assert_eq!([add(&mut taken), add(&mut taken)], [3, 4], "not 1, while others are free");
        assert_eq!(roster.version(), 5);
        for _ in 4..PortId::MAX {
            add(&mut taken);
        }
        assert_eq!(taken.len(), PortId::MAX, "1 came last");
        assert_eq!(roster.number(|id| taken.contains(&id)), None);
        taken.remove(&PortId(7));
        assert_eq!(add(&mut taken), 7);
    }
}
