//! Entries that do not come by learning alone: set by hand, noted at a locked port (MAC authentication
//! bypass), or taken over from another table.

use wire::{MacAddr, Timestamp};

use super::super::beside::Concern;
use super::super::fdb_entry::Learned;
use super::super::fdb_row::{EntryKind, Value, key};
use super::super::fids::Scope;
use super::super::port::PortId;
use super::Fdb;

impl Fdb {
    /// Sets an entry by hand, in the place of what was known of the address. False where the table has
    /// no room for it.
    pub fn set(
        &self,
        mac: MacAddr,
        scope: Scope,
        port: PortId,
        kind: EntryKind,
        now: Timestamp,
    ) -> bool {
        self.catch_up(now);
        let (key, value) = (key(mac, scope.fid), Value::new(port, kind, now));
        let mut writer = self.lock();
        // Under one lock: who talks meanwhile would be learned again in between.
        let entered = match self.find(key) {
            Some((slot, _)) => {
                self.replace(slot, value, &mut writer);
                true
            }
            None => self.place(key, value, &mut writer, now),
        };
        drop(writer);
        self.settle(Concern::Address(mac));
        entered
    }

    /// Notes an unknown address that knocks at a locked port.
    pub(in crate::core) fn learn_locked(
        &self,
        mac: MacAddr,
        scope: Scope,
        port: PortId,
        limit: u32,
        now: Timestamp,
    ) -> Learned {
        let value = Value::new(port, EntryKind::Locked, now);
        match self.enter(key(mac, scope.fid), value, limit, now) {
            Learned::New => Learned::Locked,
            other => other,
        }
    }

    /// Forgets the addresses that were noted at a locked port and not let in.
    pub fn flush_locked(&self, port: PortId) -> usize {
        self.clear_where(Concern::Port(port), |_, value| {
            value.kind() == EntryKind::Locked && value.port() == port
        })
    }

    /// Enters what another table knew, as last seen at `seen`.
    pub fn adopt(
        &self,
        mac: MacAddr,
        scope: Scope,
        port: PortId,
        kind: EntryKind,
        seen: Timestamp,
    ) -> Learned {
        self.enter(key(mac, scope.fid), Value::new(port, kind, seen), u32::MAX, seen)
    }
}
