//! The table's part in forwarding by copies of its rows: until when a copy holds, and the use of a
//! copy as a use of its row.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wire::{MacAddr, Timestamp};

use super::{EntryKind, Fdb, PortId, Scope, key};
use crate::core::{Beside, Concern};

impl Fdb {
    /// Has somebody forward by copies of rows, from now on.
    pub fn go_beside(&self, beside: Arc<dyn Beside>) {
        // There is one at most: the switch's.
        let _ = self.beside.set(beside);
    }

    /// Until when an address will be known, if it is not seen again.
    #[must_use]
    pub fn known_until(&self, mac: MacAddr, scope: Scope) -> Option<Timestamp> {
        let (_, value) = self.find(key(mac, scope.fid))?;
        Some(match value.kind() {
            EntryKind::Learned | EntryKind::Locked => {
                let lives = u64::from(scope.ageing).saturating_add(u64::from(scope.ageing > 0));
                let second = value.seen().saturating_add(lives);
                Timestamp::from_nanos(second.saturating_mul(1_000_000_000))
            }
            EntryKind::Static | EntryKind::Sticky | EntryKind::Extern => {
                Timestamp::from_nanos(u64::MAX)
            }
            EntryKind::Blackhole | EntryKind::Local => return None,
        })
    }

    /// An address was seen as a source at a port where it is known, at a time that may be past.
    pub fn touch(&self, mac: MacAddr, scope: Scope, port: PortId, seen: Timestamp) {
        let Some((slot, value)) = self.find(key(mac, scope.fid)) else { return };
        let is_later = value.kind().is_dated() && seen.as_secs() > value.seen();
        if value.port() == port && is_later {
            let (old, new) = (value.0, value.seen_at(seen).0);
            // A worker may have moved it meanwhile; then its word stands.
            let _ = slot.value.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    pub(super) fn changed(&self) {
        if let Some(beside) = self.beside.get() {
            beside.changed();
        }
    }

    pub(super) fn settle(&self, concern: Concern) {
        if let Some(beside) = self.beside.get() {
            beside.settle(concern);
        }
    }

    pub(super) fn catch_up(&self, now: Timestamp) {
        if let Some(beside) = self.beside.get() {
            beside.catch_up(self, now);
        }
    }

    /// Of an address that seems to have aged: it may have been seen by a copy.
    #[cold]
    pub(super) fn lookup_again(
        &self,
        mac: MacAddr,
        scope: Scope,
        now: Timestamp,
    ) -> Option<(PortId, EntryKind)> {
        self.catch_up(now);
        let (_, value) = self.find(key(mac, scope.fid))?;
        (!value.aged(scope.ageing, now)).then_some((value.port(), value.kind()))
    }
}
