//! Identification of packets that leave on behalf of several hosts (RFC 6864, RFC 7857 section 9).
//!
//! Two hosts behind one address may use the same identification towards the same receiver, whose
//! reassembly would then mix them up. Every packet that is or may become a fragment therefore
//! gets a new one from counters by receiver and protocol, as Linux chooses them.

use std::net::Ipv4Addr;

use crate::hash::{self, Key};

const COUNTERS: usize = 2048;

/// The counters; which one serves whom is secret.
#[derive(Debug)]
pub(crate) struct Identification {
    counters: Vec<u16>,
    key: Key,
}

impl Identification {
    #[expect(clippy::cast_possible_truncation, reason = "sixteen bits of a hash")]
    pub(crate) fn new(seed: u64) -> Self {
        let start = |n| hash::sip(seed, &[60, n as u64]) as u16;
        Self { counters: (0..COUNTERS).map(start).collect(), key: Key::new(seed, 61) }
    }

    /// An identification for a frame that stands for `count` packets; the kernel numbers the
    /// segments onwards from it.
    #[expect(clippy::cast_possible_truncation, reason = "reduced to the number of counters")]
    pub(crate) fn next(&mut self, receiver: Ipv4Addr, protocol: u8, count: u16) -> u16 {
        let hash = self.key.mix(u64::from(u32::from(receiver)), u64::from(protocol));
        let counter = &mut self.counters[hash as usize % COUNTERS];
        let id = *counter;
        *counter = counter.wrapping_add(count);
        id
    }
}
