//! What packets that others send on by themselves ask of the table ([`crate::repeat`]).

use std::net::Ipv4Addr;

use wire::{MacAddr, Timestamp};

use super::{FRESH, Neighbours};

impl Neighbours {
    /// Until when a host needs no question; None where it is not known, or being asked. Whoever is told
    /// this goes by it: from now on it is noted where the host is elsewhere, or forgotten.
    pub(crate) fn known_until(&mut self, address: Ipv4Addr) -> Option<Timestamp> {
        if self.told(address).is_some() {
            return Some(Timestamp::from_nanos(u64::MAX));
        }
        let entry = self.entries.get_mut(&address)?;
        let known = entry.mac.is_some() && entry.due.is_none();
        entry.told |= known;
        known.then(|| entry.confirmed + FRESH)
    }

    /// Whether a host is known to have a hardware address.
    pub(crate) fn is_at(&self, address: Ipv4Addr, mac: MacAddr) -> bool {
        self.peek(address) == Some(mac)
    }

    /// A packet has gone to a host then.
    pub(crate) fn was_used(&mut self, address: Ipv4Addr, at: Timestamp) {
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.used = entry.used.max(at);
        }
    }
}
