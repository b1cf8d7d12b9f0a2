//! The forwarding table: (filtering identifier, MAC) -> port, read without a lock.
//!
//! Owned by the switch, shared by its workers. Two atomics an entry, side by side, four entries a
//! cache line; a key lies in the line its hash names or, where that is full, in one of the three
//! after it, so that a look-up mostly waits for one line. Writers take a lock, but only for a new
//! address: a known one is refreshed with a store, and only once a second. Bounds: the whole table,
//! and each port's share. Full, it gives up an entry of the port that holds most, so one port's flood
//! of addresses cannot push out another's; a port at its own limit learns no more.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use wire::{MacAddr, Timestamp, VlanId};

use super::beside::{Beside, Concern};
use super::fdb_entry::{FdbEntry, Learned};
use super::fdb_row::{EntryKind, Value, fid, key, mac};
use super::fdb_slots::{Slot, Slots, WINDOW};
use super::fids::{Fids, Owner, Scope};
use super::network::NetworkId;
use super::port::PortId;
use hash::secret;

/// Sizes and times.
#[derive(Clone, Copy, Debug)]
pub struct FdbConfig {
    /// Most entries of the whole table.
    pub max_entries: usize,
}

impl Default for FdbConfig {
    fn default() -> Self {
        Self { max_entries: 65_536 }
    }
}

/// The table.
pub struct Fdb {
    config: FdbConfig,
    /// What the hash is keyed with.
    secrets: [u64; 2],
    slots: Slots,
    /// Learned entries a port, by port number; the last stands for ports beyond [`PortId::MAX`].
    share: Box<[AtomicU32]>,
    total: AtomicU32,
    /// Holding it is the right to write keys.
    writer: Mutex<Writer>,
    /// Who goes by copies of what stands here.
    beside: OnceLock<Arc<dyn Beside>>,
}

/// What only those need who write keys.
#[derive(Default)]
struct Writer {
    /// Where the next search for something to evict starts.
    cursor: usize,
    fids: Fids,
    /// The second in which the table was last searched for what has aged, and what was found by whoever
    /// needed room: not told yet.
    searched: u64,
    aged: usize,
}

impl Fdb {
    /// An empty table with room for twice its bound, so that windows stay half empty.
    #[must_use]
    pub fn new(config: FdbConfig) -> Self {
        let slots = (config.max_entries.max(WINDOW) * 2).next_power_of_two();
        Self {
            config,
            secrets: [secret() | 1, secret() | 1],
            slots: Slots::new(slots),
            share: (0..=PortId::MAX).map(|_| AtomicU32::new(0)).collect(),
            total: AtomicU32::new(0),
            writer: Mutex::default(),
            beside: OnceLock::new(),
        }
    }

    /// Its sizes and times.
    #[must_use]
    pub fn config(&self) -> FdbConfig {
        self.config
    }

    /// Says how long learned entries of a network live, and how many there may be.
    pub fn set_network(&self, network: NetworkId, ageing: Duration, limit: Option<u32>) {
        self.lock().fids.set(network, ageing, limit);
    }

    /// The part of the table that belongs to a network or a VLAN of it; None where the 65,535
    /// identifiers are used up.
    #[must_use]
    pub fn scope(&self, network: NetworkId, vlan: VlanId) -> Option<Scope> {
        self.lock().fids.scope(network, vlan)
    }

    /// Whether a VLAN has an identifier.
    pub(crate) fn has_vlans(&self) -> bool {
        self.lock().fids.has_vlans()
    }

    /// Gives the identifiers of VLANs back that are not `used` and have no entries. No [`Scope`] of them may
    /// be asked with any more.
    pub fn release(&self, used: impl Fn(NetworkId, VlanId) -> bool) {
        let mut writer = self.lock();
        let mut held = vec![false; 1 << 16];
        for slot in self.slots.iter().filter(|slot| !slot.is_free()) {
            held[usize::from(fid(slot.key.load(Ordering::Relaxed)))] = true;
        }
        let used = |fid, (network, vlan): Owner| held[usize::from(fid)] || used(network, vlan);
        writer.fids.release(used);
    }

    /// Where an address lives, if it is known and has not aged.
    #[must_use]
    #[inline]
    pub fn lookup(
        &self,
        mac: MacAddr,
        scope: Scope,
        now: Timestamp,
    ) -> Option<(PortId, EntryKind)> {
        let (_, value) = self.find(key(mac, scope.fid))?;
        if value.aged(scope.ageing, now) {
            return self.lookup_again(mac, scope, now);
        }
        Some((value.port(), value.kind()))
    }

    /// The living entry of an address, with its age.
    #[must_use]
    pub fn entry(&self, mac: MacAddr, scope: Scope, now: Timestamp) -> Option<FdbEntry> {
        self.catch_up(now);
        let (_, value) = self.find(key(mac, scope.fid))?;
        let owner = || self.lock().fids.owner(scope.fid);
        (!value.aged(scope.ageing, now)).then(|| FdbEntry::of(mac, owner(), value, now))
    }

    /// Notes that an address was seen as a source at a port that may hold `limit` entries.
    #[inline]
    pub fn learn(
        &self,
        mac: MacAddr,
        scope: Scope,
        port: PortId,
        limit: u32,
        now: Timestamp,
    ) -> Learned {
        let key = key(mac, scope.fid);
        if let Some((slot, value)) = self.find(key)
            && value.port() == port
        {
            let fresh = value.seen_at(now);
            if fresh != value && value.kind().is_dated() {
                // Another worker may have moved it meanwhile; then its word stands.
                let stored = &slot.value;
                let _ =
                    stored.compare_exchange(value.0, fresh.0, Ordering::Relaxed, Ordering::Relaxed);
            }
            return Learned::Known;
        }
        self.enter(key, Value::new(port, EntryKind::Learned, now), limit, now)
    }

    /// Takes an entry out; true where there was one.
    pub fn remove(&self, mac: MacAddr, scope: Scope) -> bool {
        let mut writer = self.lock();
        match self.find(key(mac, scope.fid)) {
            Some((slot, _)) => self.clear(slot, &mut writer),
            None => return false,
        }
        drop(writer);
        self.settle(Concern::Address(mac));
        true
    }

    /// Forgets the learned entries of a port, or of all ports; says how many.
    pub fn flush(&self, port: Option<PortId>) -> usize {
        self.flush_where(port, |_, _| true)
    }

    /// Forgets those of them in the VLANs that `gone` says; says how many.
    pub fn flush_where(
        &self,
        port: Option<PortId>,
        gone: impl Fn(NetworkId, VlanId) -> bool,
    ) -> usize {
        let concern = port.map_or(Concern::All, Concern::Port);
        self.clear_where(concern, |(network, vlan), value| {
            let there = port.is_none_or(|port| value.port() == port);
            value.kind().is_learned() && there && gone(network, vlan)
        })
    }

    /// Forgets everything about a port that is gone, set entries too.
    pub fn forget_port(&self, port: PortId) -> usize {
        self.clear_where(Concern::Port(port), |_, value| value.port() == port)
    }

    /// Forgets everything about a network that is gone.
    pub fn forget_network(&self, network: NetworkId) -> usize {
        self.clear_where(Concern::All, |owner, _| owner.0 == network)
    }

    /// Forgets what has aged; says how many.
    pub fn expire(&self, now: Timestamp) -> usize {
        if !self.is_empty() {
            self.catch_up(now);
        }
        let mut writer = self.lock();
        if !self.is_empty() {
            self.search(&mut writer, now);
        }
        std::mem::take(&mut writer.aged)
    }

    /// After how long an entry not seen is forgotten, where that is soonest.
    #[must_use]
    pub fn ageing(&self) -> Duration {
        self.lock().fids.shortest_ageing()
    }

    /// Entries held, aged ones included until they are expired.
    #[must_use]
    pub fn len(&self) -> usize {
        self.total.load(Ordering::Relaxed) as usize
    }

    /// Nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Learned entries of a network.
    #[must_use]
    pub fn network_len(&self, network: NetworkId) -> u32 {
        self.lock().fids.learned(network)
    }

    /// Learned entries of one port.
    #[must_use]
    pub fn port_len(&self, port: PortId) -> u32 {
        self.share[share_index(port)].load(Ordering::Relaxed)
    }

    /// A copy of the living entries.
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Vec<FdbEntry> {
        self.catch_up(now);
        let writer = self.lock();
        let held = self.slots.iter().filter(|slot| !slot.is_free());
        let living = held.filter(|slot| !aged(slot, &writer.fids, now));
        let row = |slot: &Slot| {
            let key = slot.key.load(Ordering::Acquire);
            FdbEntry::of(mac(key), writer.fids.owner(fid(key)), slot.value(), now)
        };
        living.map(row).collect()
    }

    /// The slot and value of a key; the key is read again after the value, so a slot that changed
    /// hands in between is not believed.
    #[inline]
    fn find(&self, key: u64) -> Option<(&Slot, Value)> {
        self.slots.find(self.hash(key), key)
    }

    fn clear_where(&self, concern: Concern, gone: impl Fn(Owner, Value) -> bool) -> usize {
        let (mut writer, mut count) = (self.lock(), 0);
        for slot in self.slots.iter().filter(|slot| !slot.is_free()) {
            let owner = writer.fids.owner(fid(slot.key.load(Ordering::Relaxed)));
            if gone(owner, slot.value()) {
                self.clear(slot, &mut writer);
                count += 1;
            }
        }
        drop(writer);
        self.settle(concern);
        count
    }

    /// The caller holds the writer's lock.
    fn clear(&self, slot: &Slot, writer: &mut Writer) {
        let value = slot.value();
        let key = slot.key.swap(0, Ordering::AcqRel);
        self.changed();
        self.total.fetch_sub(1, Ordering::Relaxed);
        self.count(value, fid(key), false, writer);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whether a slot's entry has not been seen for too long.
fn aged(slot: &Slot, fids: &Fids, now: Timestamp) -> bool {
    let ageing = fids.ageing(fid(slot.key.load(Ordering::Relaxed)));
    slot.value().aged(u32::try_from(ageing.as_secs()).unwrap_or(u32::MAX), now)
}

fn share_index(port: PortId) -> usize {
    port.index().min(PortId::MAX)
}

#[path = "fdb_copies.rs"]
mod copies;
#[path = "fdb_enter.rs"]
mod enter;
#[path = "fdb_hash.rs"]
mod hash;
#[path = "fdb_locked.rs"]
mod locked;
#[cfg(test)]
#[path = "fdb_model.rs"]
mod model;
#[cfg(test)]
#[path = "fdb_tests.rs"]
mod tests;
