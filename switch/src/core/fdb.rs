//! The forwarding table: (VLAN, MAC) -> port, read without a lock.
//!
//! Owned by the switch, shared by its workers. Two atomics an entry, side by side, four entries a
//! cache line; a key lies in the line its hash names or, where that is full, in one of the three
//! after it, so that a look-up mostly waits for one line. Writers take a lock, but only for a new
//! address: a known one is refreshed with a store, and only once a second. Bounds: the whole table,
//! and each port's share. A full table takes the place of an entry of the port that holds most, so
//! one port's flood of addresses cannot push out another's; a port at its own limit learns no more.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use wire::{MacAddr, Timestamp, VlanId};

use super::fdb_row::{EntryKind, Value, key};
use super::fdb_slots::{Slot, Slots, WINDOW};
use super::port::PortId;

/// Slots looked at for something to evict.
const EVICTION_SCAN: usize = 4096;

/// Sizes and times.
#[derive(Clone, Copy, Debug)]
pub struct FdbConfig {
    /// Most entries of the whole table.
    pub max_entries: usize,
    /// A learned entry not seen for this long is forgotten (802.1D: 300 s).
    pub ageing: Duration,
}

impl Default for FdbConfig {
    fn default() -> Self {
        Self { max_entries: 65_536, ageing: Duration::from_secs(300) }
    }
}

/// One row of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdbEntry {
    /// The address.
    pub mac: MacAddr,
    /// Its VLAN; [`VlanId::NONE`] for untagged.
    pub vlan: VlanId,
    /// Where it lives.
    pub port: PortId,
    /// How it got there.
    pub kind: EntryKind,
    /// Time since it was last seen as a source, to the second.
    pub idle: Duration,
}

impl FdbEntry {
    fn of(mac: MacAddr, vlan: VlanId, value: Value, now: Timestamp) -> Self {
        let idle = Duration::from_secs(now.as_secs().saturating_sub(value.seen()));
        Self { mac, vlan, port: value.port(), kind: value.kind(), idle }
    }
}

/// What learning did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Known here already (or set there, and not sticky).
    Known,
    /// Entered.
    New,
    /// Was at that port before.
    Moved(PortId),
    /// The port is at its limit, or the table is full of entries that may not go.
    Full,
    /// Sticky elsewhere.
    Sticky,
    /// The port does not learn.
    Off,
}

/// The table.
pub struct Fdb {
    config: FdbConfig,
    /// What the hash is keyed with.
    secrets: [u64; 2],
    slots: Slots,
    /// Entries a port, by port number; the last stands for ports beyond [`PortId::MAX`].
    share: Box<[AtomicU32]>,
    total: AtomicU32,
    /// Where the next search for something to evict starts. Holding it is the right to write keys.
    writer: Mutex<usize>,
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
            writer: Mutex::new(0),
        }
    }

    /// Its sizes and times.
    #[must_use]
    pub fn config(&self) -> FdbConfig {
        self.config
    }

    /// Where an address lives, if it is known and has not aged.
    #[must_use]
    #[inline]
    pub fn lookup(
        &self,
        mac: MacAddr,
        vlan: VlanId,
        now: Timestamp,
    ) -> Option<(PortId, EntryKind)> {
        let (_, value) = self.find(key(mac, vlan))?;
        (!self.aged(value, now)).then_some((value.port(), value.kind()))
    }

    /// The living entry of an address, with its age.
    #[must_use]
    pub fn entry(&self, mac: MacAddr, vlan: VlanId, now: Timestamp) -> Option<FdbEntry> {
        let (_, value) = self.find(key(mac, vlan))?;
        (!self.aged(value, now)).then(|| FdbEntry::of(mac, vlan, value, now))
    }

    /// Notes that an address was seen as a source at a port that may hold `limit` entries.
    #[inline]
    pub fn learn(
        &self,
        mac: MacAddr,
        vlan: VlanId,
        port: PortId,
        limit: u32,
        now: Timestamp,
    ) -> Learned {
        let key = key(mac, vlan);
        if let Some((slot, value)) = self.find(key)
            && value.port() == port
        {
            let fresh = value.seen_at(now);
            if fresh != value && value.kind() == EntryKind::Learned {
                // Another worker may have moved it meanwhile; then its word stands.
                let stored = &slot.value;
                let _ =
                    stored.compare_exchange(value.0, fresh.0, Ordering::Relaxed, Ordering::Relaxed);
            }
            return Learned::Known;
        }
        self.enter(key, Value::new(port, EntryKind::Learned, now), limit, now)
    }

    /// Sets an entry by hand. False where the table has no room for it.
    pub fn set(&self, mac: MacAddr, vlan: VlanId, port: PortId, kind: EntryKind) -> bool {
        let key = key(mac, vlan);
        self.remove(mac, vlan);
        let value = Value::new(port, kind, Timestamp::ZERO);
        !matches!(self.enter(key, value, u32::MAX, Timestamp::ZERO), Learned::Full)
    }

    /// Takes an entry out; true where there was one.
    pub fn remove(&self, mac: MacAddr, vlan: VlanId) -> bool {
        let _writer = self.lock();
        match self.find(key(mac, vlan)) {
            Some((slot, _)) => self.clear(slot),
            None => return false,
        }
        true
    }

    /// Forgets the learned entries of a port, or of all ports; says how many.
    pub fn flush(&self, port: Option<PortId>) -> usize {
        self.clear_where(|value| {
            value.kind() == EntryKind::Learned && port.is_none_or(|p| value.port() == p)
        })
    }

    /// Forgets everything about a port that is gone, set entries too.
    pub fn forget_port(&self, port: PortId) -> usize {
        self.clear_where(|value| value.port() == port)
    }

    /// Forgets what has aged; says how many.
    pub fn expire(&self, now: Timestamp) -> usize {
        if self.is_empty() {
            return 0;
        }
        self.clear_where(|value| self.aged(value, now))
    }

    /// After how long an entry not seen is forgotten.
    #[must_use]
    pub fn ageing(&self) -> Duration {
        self.config.ageing
    }

    /// Entries held, aged ones included until they are expired.
    #[must_use]
    pub fn len(&self) -> usize {
        self.total.load(Ordering::Relaxed) as usize
    }

    /// True where nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries of one port.
    #[must_use]
    pub fn port_len(&self, port: PortId) -> u32 {
        self.share[share_index(port)].load(Ordering::Relaxed)
    }

    /// A copy of the living entries, taken without stopping anyone.
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Vec<FdbEntry> {
        let rows = self.slots.iter().filter_map(|slot| {
            let key = slot.key.load(Ordering::Acquire);
            let value = slot.value();
            let same = slot.key.load(Ordering::Acquire) == key;
            let whole = key != 0 && same && !self.aged(value, now);
            whole.then(|| {
                let mac = MacAddr::from_u64(key & 0xffff_ffff_ffff);
                let vlan = VlanId::from_tci(u16::try_from((key >> 48) & 0xfff).unwrap_or(0));
                FdbEntry::of(mac, vlan, value, now)
            })
        });
        rows.collect()
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
        let mut cursor = self.lock();
        // Somebody may have entered or moved it before the lock was ours.
        if let Some((slot, old)) = self.find(key) {
            let from = old.port();
            return match old.kind() {
                _ if from == value.port() => Learned::Known,
                EntryKind::Sticky => Learned::Sticky,
                EntryKind::Static | EntryKind::Blackhole => Learned::Known,
                EntryKind::Learned if self.port_len(value.port()) >= limit => Learned::Full,
                EntryKind::Learned => {
                    let aged = self.aged(old, now);
                    slot.value.store(value.0, Ordering::Release);
                    self.share[share_index(from)].fetch_sub(1, Ordering::Relaxed);
                    self.share[share_index(value.port())].fetch_add(1, Ordering::Relaxed);
                    if aged { Learned::New } else { Learned::Moved(from) }
                }
            };
        }
        if self.port_len(value.port()) >= limit {
            return Learned::Full;
        }
        if self.len() >= self.config.max_entries && !self.evict(&mut cursor, value.port(), now) {
            return Learned::Full;
        }
        let window = || self.slots.window(self.hash(key));
        let free = |slot: &&Slot| slot.is_free();
        let aged = |slot: &&Slot| self.aged(slot.value(), now);
        let Some(slot) = window().find(free).or_else(|| window().find(aged)) else {
            return Learned::Full;
        };
        if !slot.is_free() {
            self.clear(slot);
        }
        slot.fill(key, value);
        self.share[share_index(value.port())].fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        Learned::New
    }

    /// Makes room: an aged entry, else one of a port that holds more than `for_port` does (or of
    /// `for_port` itself, where nobody holds more).
    fn evict(&self, cursor: &mut usize, for_port: PortId, now: Timestamp) -> bool {
        let (mut greedy, mut most) = (None, self.port_len(for_port));
        for _ in 0..EVICTION_SCAN.min(self.slots.len()) {
            *cursor = (*cursor + 1) & (self.slots.len() - 1);
            let slot = &self.slots[*cursor];
            if slot.is_free() {
                continue;
            }
            let value = slot.value();
            if self.aged(value, now) {
                self.clear(slot);
                return true;
            }
            let holds = self.port_len(value.port());
            let own = value.port() == for_port && greedy.is_none();
            if value.kind() == EntryKind::Learned && (holds > most || own) {
                most = holds.max(most);
                greedy = Some(slot);
            }
        }
        if let Some(slot) = greedy {
            self.clear(slot);
        }
        greedy.is_some()
    }

    fn clear_where(&self, gone: impl Fn(Value) -> bool) -> usize {
        let _writer = self.lock();
        let mut count = 0;
        for slot in self.slots.iter() {
            if !slot.is_free() && gone(slot.value()) {
                self.clear(slot);
                count += 1;
            }
        }
        count
    }

    /// The caller holds the writer's lock.
    fn clear(&self, slot: &Slot) {
        let port = slot.value().port();
        slot.key.store(0, Ordering::Release);
        self.share[share_index(port)].fetch_sub(1, Ordering::Relaxed);
        self.total.fetch_sub(1, Ordering::Relaxed);
    }

    fn aged(&self, value: Value, now: Timestamp) -> bool {
        value.kind() == EntryKind::Learned
            && now.as_secs().saturating_sub(value.seen()) >= self.config.ageing.as_secs()
    }

    /// Where a key's window begins. Two multiplications with secrets: nobody outside can
    /// choose addresses that crowd into one window. (One is not enough: addresses counted up would
    /// make an arithmetic progression of slots, which bunches for some secrets.)
    #[inline]
    fn hash(&self, key: u64) -> u64 {
        let once = fold(key ^ self.secrets[0], self.secrets[1]);
        // Of the second the upper half is enough: all bits of the first bear on it.
        let twice = u128::from(once ^ self.secrets[1]) * u128::from(self.secrets[0]);
        u64::try_from(twice >> 64).unwrap_or(0)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, usize> {
        self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are kept, folded into one")]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// A number that no other process knows; the standard library's own hash is keyed the same way.
fn secret() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn share_index(port: PortId) -> usize {
    port.index().min(PortId::MAX)
}

#[cfg(test)]
#[path = "fdb_model.rs"]
mod model;
#[cfg(test)]
#[path = "fdb_tests.rs"]
mod tests;
