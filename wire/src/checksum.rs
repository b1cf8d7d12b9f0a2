//! The Internet checksum (RFC 1071), and how to change it without reading the packet (RFC 1624).
//!
//! The checksum is the ones' complement of the ones' complement sum of all 16-bit words. When a
//! word m becomes m', the new checksum is `~(~HC + ~m + m')` (RFC 1624, equation 3; the form of
//! RFC 1141 goes wrong where the sum is zero). A field may also be *partial*: it then holds the
//! plain, uncomplemented sum of the pseudo-header, and the sender's hardware would have done the
//! rest. A [`Delta`] collects the changed words once and applies to either kind.

use std::net::Ipv4Addr;

/// The ones' complement sum of `bytes`, unfolded; an odd last byte counts as the high half.
#[must_use]
pub fn sum(bytes: &[u8]) -> u64 {
    let mut total = 0u64;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        total += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    }
    let mut tail = words.remainder().chunks_exact(2);
    for word in &mut tail {
        total += u64::from(u16::from_be_bytes([word[0], word[1]]));
    }
    if let [last] = tail.remainder() {
        total += u64::from(*last) << 8;
    }
    total
}

/// Folds the carries of a sum into 16 bits.
#[must_use]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the loop leaves sixteen bits")]
pub const fn fold(mut total: u64) -> u16 {
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// The checksum of `bytes`, as it stands in a header whose own field was zero in them.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// The unfolded sum of the TCP/UDP pseudo-header (RFC 9293 3.1): `length` counts header and data.
#[must_use]
pub fn pseudo_header(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, length: u16) -> u64 {
    u64::from(u32::from(src)) + u64::from(u32::from(dst)) + u64::from(protocol) + u64::from(length)
}

/// What has changed in the words under a checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta(u64);

impl Delta {
    /// Nothing has changed yet.
    pub const NONE: Self = Self(0);

    /// A 16-bit word at an even offset went from `old` to `new`.
    #[must_use]
    #[inline]
    pub const fn word(self, old: u16, new: u16) -> Self {
        Self(self.0 + (!old) as u64 + new as u64)
    }

    /// An address at an even offset went from `old` to `new`.
    #[must_use]
    #[inline]
    pub fn address(self, old: Ipv4Addr, new: Ipv4Addr) -> Self {
        Self(self.0 + u64::from(!u32::from(old)) + u64::from(u32::from(new)))
    }

    /// The changes of both.
    #[must_use]
    #[inline]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// The new value of a full checksum field.
    #[must_use]
    #[inline]
    pub const fn apply(self, field: u16) -> u16 {
        !fold((!field) as u64 + self.0)
    }

    /// The new value of a partial field, which holds an uncomplemented pseudo-header sum.
    #[must_use]
    #[inline]
    pub const fn apply_partial(self, field: u16) -> u16 {
        fold(field as u64 + self.0)
    }
}

#[cfg(test)]
mod tests;
