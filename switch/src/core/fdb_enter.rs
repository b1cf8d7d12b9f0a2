//! How an entry gets into the table: what becomes of the one that is there, what makes room, what counts.
//!
//! All of it with the writer's lock held. A port or a network at its limit is searched first for what has
//! aged, once a second at most, for ages are told in seconds.

use std::sync::atomic::Ordering;

use wire::Timestamp;

use super::super::fdb_entry::Learned;
use super::super::fdb_row::{EntryKind, Value, fid};
use super::super::fdb_slots::Slot;
use super::super::port::PortId;
use super::{Fdb, Writer, aged, share_index};

/// Slots looked at for something to evict.
const EVICTION_SCAN: usize = 4096;

impl Fdb {
    /// The rest of learning, for an address that is not known at that port.
    #[cold]
    #[inline(never)]
    pub(super) fn enter(&self, key: u64, value: Value, limit: u32, now: Timestamp) -> Learned {
        self.catch_up(now);
        let mut writer = self.lock();
        let learned = value.kind().is_learned();
        let is_full = || learned && self.port_len(value.port()) >= limit;
        if is_full() || learned && !writer.fids.has_room(fid(key)) {
            self.search_once(&mut writer, now);
        }
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
                    self.replace(slot, moved, &mut writer);
                    Learned::Moved(from)
                }
                _ if is_full() => Learned::Full,
                EntryKind::Learned | EntryKind::Locked | EntryKind::Extern => {
                    let aged = aged(slot, &writer.fids, now);
                    self.replace(slot, value, &mut writer);
                    if aged { Learned::New } else { Learned::Moved(from) }
                }
            };
        }
        if is_full() || learned && !writer.fids.has_room(fid(key)) {
            return Learned::Full;
        }
        match self.place(key, value, &mut writer, now) {
            true => Learned::New,
            false => Learned::Full,
        }
    }

    /// Writes over an entry; what is counted follows from the two kinds.
    pub(super) fn replace(&self, slot: &Slot, value: Value, writer: &mut Writer) {
        let old = Value(slot.value.swap(value.0, Ordering::AcqRel));
        let fid = fid(slot.key.load(Ordering::Relaxed));
        self.count(old, fid, false, writer);
        self.count(value, fid, true, writer);
        self.changed();
    }

    /// Puts an entry in that is not there; false where there is no room for it.
    pub(super) fn place(
        &self,
        key: u64,
        value: Value,
        writer: &mut Writer,
        now: Timestamp,
    ) -> bool {
        if self.len() >= self.config.max_entries && !self.evict(writer, value.port(), now) {
            return false;
        }
        let window = || self.slots.window(self.hash(key));
        let free = |slot: &&Slot| slot.is_free();
        let old = |slot: &&Slot| aged(slot, &writer.fids, now);
        let Some(slot) = window().find(free).or_else(|| window().find(old)) else {
            return false;
        };
        if !slot.is_free() {
            self.clear(slot, writer);
        }
        slot.fill(key, value);
        self.total.fetch_add(1, Ordering::Relaxed);
        self.count(value, fid(key), true, writer);
        true
    }

    /// Of its port and of its network, where it was learned.
    pub(super) fn count(&self, value: Value, fid: u16, more: bool, writer: &mut Writer) {
        if !value.kind().is_learned() {
            return;
        }
        let share = &self.share[share_index(value.port())];
        match more {
            true => share.fetch_add(1, Ordering::Relaxed),
            false => share.fetch_sub(1, Ordering::Relaxed),
        };
        writer.fids.count(fid, more);
    }

    /// Forgets what has aged, where that has not been done in this second.
    fn search_once(&self, writer: &mut Writer, now: Timestamp) {
        if writer.searched < now.as_secs() {
            self.search(writer, now);
        }
    }

    /// Forgets what has aged by the times that hold now, before others do: a longer one would bring it back.
    pub fn forget_aged(&self, now: Timestamp) {
        self.catch_up(now);
        self.search(&mut self.lock(), now);
    }

    /// Forgets what has aged.
    pub(super) fn search(&self, writer: &mut Writer, now: Timestamp) {
        writer.searched = now.as_secs();
        for slot in self.slots.iter().filter(|slot| !slot.is_free()) {
            if aged(slot, &writer.fids, now) {
                self.clear(slot, writer);
                writer.aged += 1;
            }
        }
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
}
