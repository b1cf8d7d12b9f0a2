//! The places of the table of neighbours: who gets one, who gives way, what goes with a node.
//!
//! A node has as many as are left when it has them; beyond that its own oldest gives way, of the
//! first [`TURNS`] that carry nothing.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use wire::Timestamp;

use super::{Entry, FRESH, IDLE, Neighbours, Waiting};
use crate::hash::Key;
use crate::node::Node;

/// Entries looked at for one that gives way.
const TURNS: usize = 8;

impl Neighbours {
    /// A node is gone: so are the hosts that were there. Returns how many packets waited for them.
    pub(crate) fn forget(&mut self, node: Node) -> usize {
        let there = |entry: &Entry| {
            entry.mac.is_some() && entry.node == node || entry.waiting.iter().any(|w| w.to == node)
        };
        let gone: Vec<_> =
            self.entries.iter().filter(|(_, e)| there(e)).map(|(address, _)| *address).collect();
        for entry in self.entries.values_mut() {
            entry.rival = entry.rival.filter(|(_, rival)| *rival != node);
        }
        gone.into_iter().map(|address| self.remove(address)).sum()
    }

    /// Forgets the hosts that cannot be there any more; returns how many packets waited for them.
    pub(crate) fn keep(&mut self, is: impl Fn(Ipv4Addr) -> bool) -> usize {
        let gone: Vec<_> = self.entries.keys().copied().filter(|address| !is(*address)).collect();
        gone.into_iter().map(|address| self.remove(address)).sum()
    }

    /// Takes out what nobody has used or heard of for long.
    pub(super) fn clean(&mut self, now: Timestamp) {
        let idle = |e: &Entry| {
            e.due.is_none() && now.since(e.used) >= IDLE && now.since(e.confirmed) >= IDLE
        };
        let old: Vec<_> = self.entries.iter().filter(|(_, e)| idle(e)).map(|(a, _)| *a).collect();
        for address in old {
            self.remove(address);
        }
        self.next_cleaning = (!self.entries.is_empty()).then(|| now + IDLE / 5);
    }

    /// Makes an entry; false where its holder has its share and needs all of it.
    pub(super) fn insert(
        &mut self,
        address: Ipv4Addr,
        due: Option<Timestamp>,
        (learned, holder): (bool, Node),
        now: Timestamp,
    ) -> bool {
        let half = if learned { self.limit / 2 } else { self.limit.div_ceil(2) };
        let turns = if learned { &self.learned } else { &self.asked };
        let (own, free) = (turns.of(holder).0, half.saturating_sub(turns.total()));
        let room = if holder == Node::NOBODY { free > 0 } else { own < free };
        if !room && !self.displace(learned, holder, now) {
            return false;
        }
        self.made += 1;
        let (serial, asked) = (self.made, u8::from(due.is_some()));
        let entries = &self.entries;
        let taken = |serial, address| is_current(entries, serial, address);
        let turns = if learned { &mut self.learned } else { &mut self.asked };
        turns.enter(holder, (serial, address), taken);
        let entry = Entry {
            mac: None,
            confirmed: now,
            used: now,
            asked,
            due,
            node: holder,
            learned,
            holder,
            serial,
            rival: None,
            waiting: Vec::new(),
            queued: 0,
            told: false,
        };
        self.entries.insert(address, entry);
        self.next_cleaning.get_or_insert(now + IDLE);
        true
    }

    /// Forgets the oldest entry of a holder that is not in use; false where it has none such.
    fn displace(&mut self, learned: bool, holder: Node, now: Timestamp) -> bool {
        for _ in 0..TURNS {
            let entries = &self.entries;
            let taken = |serial, address| is_current(entries, serial, address);
            let turns = if learned { &mut self.learned } else { &mut self.asked };
            let Some((serial, address)) = turns.oldest(holder, taken) else { return false };
            let Some(entry) = self.entries.get(&address) else { continue };
            // It has carried a packet since it was made or answered.
            let carried = entry.mac.is_some() && (!learned || entry.used > entry.confirmed);
            if carried && now.since(entry.used) < FRESH {
                let turns = if learned { &mut self.learned } else { &mut self.asked };
                turns.again(holder, (serial, address));
                continue;
            }
            self.lost += self.remove(address) as u64;
            return true;
        }
        false
    }

    /// What waits for a host, no longer queued.
    pub(super) fn take_waiting(&mut self, address: Ipv4Addr) -> Vec<Waiting> {
        let Some(entry) = self.entries.get_mut(&address) else { return Vec::new() };
        self.queued -= std::mem::take(&mut entry.queued);
        let waiting = std::mem::take(&mut entry.waiting);
        for packet in &waiting {
            if let Some(queued) = self.queued_by.get_mut(&packet.from) {
                *queued -= packet.bytes();
                if *queued == 0 {
                    self.queued_by.remove(&packet.from);
                }
            }
        }
        waiting
    }

    /// Forgets a host; returns how many packets waited for it.
    pub(super) fn remove(&mut self, address: Ipv4Addr) -> usize {
        let waited = self.take_waiting(address).len();
        let Some(entry) = self.entries.remove(&address) else { return waited };
        self.moved |= entry.told;
        if let Some(due) = entry.due {
            self.due.remove(&(due, address));
        }
        let turns = if entry.learned { &mut self.learned } else { &mut self.asked };
        turns.leave(entry.holder);
        waited
    }
}

fn is_current(entries: &HashMap<Ipv4Addr, Entry, Key>, serial: u64, address: Ipv4Addr) -> bool {
    entries.get(&address).is_some_and(|entry| entry.serial == serial)
}
