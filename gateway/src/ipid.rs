//! Identification of packets that leave on behalf of several hosts (RFC 6864, RFC 7857 section 9).
//!
//! Two hosts behind one address may use the same identification towards the same receiver, whose
//! reassembly would then mix them up. Every packet that is or may become a fragment therefore
//! gets a new one from counters by receiver and protocol, as Linux chooses them. Of each counter the
//! last [`REMEMBERED`] are kept with what they replaced, for an ICMP error quotes the new one to a
//! host that knows its packets by the old one.

use std::net::Ipv4Addr;

use crate::hash::{self, Key};

const COUNTERS: usize = 2048;
/// As many probes may be on their way to a receiver at a time.
const REMEMBERED: usize = 64;

/// The counters; which one serves whom is secret.
#[derive(Debug)]
pub(crate) struct Identification {
    counters: Vec<u16>,
    /// What the last ones of each counter replaced, each at its own place modulo [`REMEMBERED`].
    replaced: Vec<[u16; REMEMBERED]>,
    key: Key,
}

impl Identification {
    #[expect(clippy::cast_possible_truncation, reason = "sixteen bits of a hash")]
    pub(crate) fn new(seed: u64) -> Self {
        let start = |n| hash::sip(seed, &[60, n as u64]) as u16;
        Self {
            counters: (0..COUNTERS).map(start).collect(),
            replaced: vec![[0; REMEMBERED]; COUNTERS],
            key: Key::new(seed, 61),
        }
    }

    /// An identification in place of `old` for a frame that stands for `count` packets; the kernel
    /// numbers the segments onwards from it.
    pub(crate) fn replace(
        &mut self,
        (receiver, protocol): (Ipv4Addr, u8),
        old: u16,
        count: u16,
    ) -> u16 {
        let at = self.counter(receiver, protocol);
        let new = self.counters[at];
        self.counters[at] = new.wrapping_add(count);
        let first = usize::from(count).saturating_sub(REMEMBERED);
        for n in u16::try_from(first).unwrap_or(0)..count {
            let place = usize::from(new.wrapping_add(n)) % REMEMBERED;
            self.replaced[at][place] = old.wrapping_add(n);
        }
        new
    }

    /// What `new` has replaced, while that is remembered.
    pub(crate) fn original(&self, (receiver, protocol): (Ipv4Addr, u8), new: u16) -> Option<u16> {
        let at = self.counter(receiver, protocol);
        let age = usize::from(self.counters[at].wrapping_sub(new));
        (1..=REMEMBERED).contains(&age).then(|| self.replaced[at][usize::from(new) % REMEMBERED])
    }

    #[expect(clippy::cast_possible_truncation, reason = "reduced to the number of counters")]
    fn counter(&self, receiver: Ipv4Addr, protocol: u8) -> usize {
        self.key.mix(u64::from(u32::from(receiver)), u64::from(protocol)) as usize % COUNTERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let mut ids = Identification::new(1);
        let whom = (Ipv4Addr::new(8, 8, 8, 8), 17);
        let given: Vec<_> = (0..100).map(|old| ids.replace(whom, old, 1)).collect();
        let known = (100 - REMEMBERED)..100;
        for (old, new) in given.into_iter().enumerate() {
            let kept = known.contains(&old).then(|| u16::try_from(old).unwrap());
            assert_eq!(ids.original(whom, new), kept, "{old}");
        }
        // Of a frame of segments each has its own, the last ones at least.
        let first = ids.replace(whom, u16::MAX, 100);
        let at = |n: u16| ids.original(whom, first.wrapping_add(n));
        assert_eq!((at(35), at(36), at(99)), (None, Some(35), Some(98)));
    }
}
