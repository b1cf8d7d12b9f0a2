//! A keyed hash for tables whose keys arrive from the network.
//!
//! Two words in, 64 bits out, by folded multiplication (the construction of wyhash). The key is
//! secret and differs in every process, so that nobody can aim for collisions. Not for
//! cryptography; ports, which outsiders see, are chosen through SipHash instead.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// Two secret words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key(u64, u64);

impl Key {
    /// A key out of a seed; `purpose` keeps the tables apart.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        Self(sip(seed, &[purpose, 1]) | 1, sip(seed, &[purpose, 2]))
    }

    #[inline]
    pub(crate) fn mix(self, a: u64, b: u64) -> u64 {
        fold(fold(a ^ self.0, b ^ self.1), self.0 ^ 0x9e37_79b9_7f4a_7c15)
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// SipHash-1-3 of `words` under `seed`.
pub(crate) fn sip(seed: u64, words: &[u64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(seed);
    for word in words {
        hasher.write_u64(*word);
    }
    hasher.finish()
}

impl BuildHasher for Key {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded { key: *self, state: 0 }
    }
}

/// [`Key`] as a standard hasher, for keys of a few integers.
pub(crate) struct Folded {
    key: Key,
    state: u64,
}

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.state = self.key.mix(self.state, value);
    }
}

/// Bytes of memory of a standard map: an entry and a control byte for each of its buckets, which
/// are at most seven eighths full and a power of two.
#[cfg(test)]
pub(crate) fn bytes<K, V, S>(map: &std::collections::HashMap<K, V, S>) -> usize {
    (map.capacity() * 8 / 7).next_power_of_two() * (size_of::<(K, V)>() + 1)
}
