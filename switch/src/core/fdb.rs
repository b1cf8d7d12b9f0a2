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

/// Slots looked at for something to evict.
const EVICTION_SCAN: usize = 4096;

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
        if self.is_empty() {
            return 0;
        }
        self.catch_up(now);
        let mut writer = self.lock();
        let mut count = 0;
        for slot in self.slots.iter().filter(|slot| !slot.is_free()) {
            if aged(slot, &writer.fids, now) {
                self.clear(slot, &mut writer);
                count += 1;
            }
        }
        count
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

    /// The rest of learning, for an address that is not known at that port.
    #[cold]
    #[inline(never)]
    fn enter(&self, key: u64, value: Value, limit: u32, now: Timestamp) -> Learned {
        self.catch_up(now);
        let mut writer = self.lock();
        // Somebody may have entered or moved it before the lock was ours.
        if let Some((slot, old)) = self.find(key) {
            let from = old.port();
            return match old.kind() {
                _ if from == value.port() => Learned::Known,
                EntryKind::Sticky => {
                    slot.value.store(old.seen_at(now).0, Ordering::Release);
                    Learned::Sticky
                }
                EntryKind::Blackhole | EntryKind::Local => Learned::Known,
                // One that knocks at a locked port takes nothing along.
                EntryKind::Static if value.kind() == EntryKind::Locked => Learned::Known,
                EntryKind::Static => {
                    let moved = Value::new(value.port(), EntryKind::Static, now);
                    slot.value.store(moved.0, Ordering::Release);
                    self.changed();
                    Learned::Moved(from)
                }
                _ if self.port_len(value.port()) >= limit => Learned::Full,
                EntryKind::Learned | EntryKind::Locked | EntryKind::Extern => {
                    let aged = aged(slot, &writer.fids, now);
                    slot.value.store(value.0, Ordering::Release);
                    match old.kind().is_learned() {
                        true => _ = self.share[share_index(from)].fetch_sub(1, Ordering::Relaxed),
                        false => writer.fids.count(fid(key), true),
                    }
                    self.share[share_index(value.port())].fetch_add(1, Ordering::Relaxed);
                    self.changed();
                    if aged { Learned::New } else { Learned::Moved(from) }
                }
            };
        }
        let learned = value.kind().is_learned();
        if learned && (self.port_len(value.port()) >= limit || !writer.fids.has_room(fid(key))) {
            return Learned::Full;
        }
        if self.len() >= self.config.max_entries && !self.evict(&mut writer, value.port(), now) {
            return Learned::Full;
        }
        let window = || self.slots.window(self.hash(key));
        let free = |slot: &&Slot| slot.is_free();
        let old = |slot: &&Slot| aged(slot, &writer.fids, now);
        let Some(slot) = window().find(free).or_else(|| window().find(old)) else {
            return Learned::Full;
        };
        if !slot.is_free() {
            self.clear(slot, &mut writer);
        }
        slot.fill(key, value);
        self.total.fetch_add(1, Ordering::Relaxed);
        if learned {
            self.share[share_index(value.port())].fetch_add(1, Ordering::Relaxed);
            writer.fids.count(fid(key), true);
        }
        Learned::New
    }

    /// Makes room: an aged entry, else one of a port that holds more than `for_port` does (or of
    /// `for_port` itself, where nobody holds more).
    fn evict(&self, writer: &mut Writer, for_port: PortId, now: Timestamp) -> bool {
        let (mut greedy, mut most) = (None, self.port_len(for_port));
        for _ in 0..EVICTION_SCAN.min(self.slots.len()) {
            writer.cursor = (writer.cursor + 1) & (self.slots.len() - 1);
            let slot = &self.slots[writer.cursor];
            if slot.is_free() {
                continue;
            }
            let value = slot.value();
            if aged(slot, &writer.fids, now) {
                self.clear(slot, writer);
                return true;
            }
            let holds = self.port_len(value.port());
            let own = value.port() == for_port && greedy.is_none();
            if value.kind().is_learned() && (holds > most || own) {
                most = holds.max(most);
                greedy = Some(slot);
            }
        }
        if let Some(slot) = greedy {
            self.clear(slot, writer);
        }
        greedy.is_some()
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
        if value.kind().is_learned() {
            self.share[share_index(value.port())].fetch_sub(1, Ordering::Relaxed);
            writer.fids.count(fid(key), false);
        }
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
