//! Where the forwarding table looks for a key: a hash that nobody outside can foretell.

use std::hash::{BuildHasher, Hasher, RandomState};

use super::Fdb;

impl Fdb {
    /// Where a key's window begins. Two multiplications with secrets: nobody outside can
    /// choose addresses that crowd into one window. (One is not enough: addresses counted up would
    /// make an arithmetic progression of slots, which bunches for some secrets.)
    #[inline]
    pub(super) fn hash(&self, key: u64) -> u64 {
        let once = fold(key ^ self.secrets[0], self.secrets[1]);
        // Of the second the upper half is enough: all bits of the first bear on it.
        let twice = u128::from(once ^ self.secrets[1]) * u128::from(self.secrets[0]);
        u64::try_from(twice >> 64).unwrap_or(0)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are kept, folded into one")]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// A number that no other process knows; the standard library's own hash is keyed the same way.
pub(super) fn secret() -> u64 {
    RandomState::new().build_hasher().finish()
}
