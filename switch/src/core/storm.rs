//! What each port has had flooded in the running second: counted once for all workers, for any of
//! them may see a port's frames.
//!
//! Asked by a bridge for flooded frames of ports that have a limit, and for nothing else.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wire::Timestamp;

use super::port::{Flooded, PortId};

/// Of each kind the second, and frames in it: the upper and the lower half.
#[derive(Debug, Default)]
pub(super) struct Storm([AtomicU64; 3]);

impl Storm {
    /// Counts a frame; which of its second it is, from 1 on.
    pub(super) fn count(&self, kind: Flooded, now: Timestamp) -> u64 {
        let second = now.as_secs() << 32;
        let next = |had: u64| match had & !LOW == second {
            true => second | (had + 1).min(second | LOW) & LOW,
            false => second | 1,
        };
        let had = self.0[kind as usize]
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |had| Some(next(had)));
        next(had.unwrap_or_else(|had| had)) & LOW
    }
}

const LOW: u64 = u32::MAX as u64;

/// The ports' counts, shared by the bridges of all workers.
#[derive(Debug, Default)]
pub struct Storms(Mutex<BTreeMap<PortId, Arc<Storm>>>);

impl Storms {
    pub(super) fn of(&self, port: PortId) -> Arc<Storm> {
        let mut ports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(ports.entry(port).or_default())
    }

    pub(super) fn forget(&self, port: PortId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&port);
    }
}
