//! A row of the forwarding table as the two numbers it is kept in.
//!
//! [`super::Fdb`] stores them in atomics: the key names the (filtering identifier, address), the value says where it
//! lives, what kind of entry it is and when it was last seen.

use wire::{MacAddr, Timestamp};

use super::port::PortId;

/// How an entry came to be and how it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Learned: ages, moves.
    Learned,
    /// Learned at a locked port (MAC authentication bypass): ages and moves, and its frames are not
    /// let in there.
    Locked,
    /// Set: does not age, moves, and is static there too.
    Static,
    /// Set: neither ages nor moves.
    Sticky,
    /// Set: frames to it are dropped.
    Blackhole,
    /// Set: an address of the switch itself, which has no stack to take its frames.
    Local,
    /// Set by a program that learns for the switch: does not age, moves, and is then learned.
    Extern,
}

impl EntryKind {
    /// Whether it came by a frame: it ages, and counts against its port's limit.
    #[must_use]
    pub fn is_learned(self) -> bool {
        matches!(self, Self::Learned | Self::Locked)
    }

    /// Whether a frame from the address is noted as the last one.
    pub(super) fn is_dated(self) -> bool {
        !matches!(self, Self::Blackhole | Self::Local)
    }
}

/// Port (16 bits), kind (8), second last seen (32), from the low end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Value(pub(super) u64);

impl Value {
    pub(super) fn new(port: PortId, kind: EntryKind, now: Timestamp) -> Self {
        Self(u64::from(port.0) | (kind as u64) << 16).seen_at(now)
    }

    pub(super) fn port(self) -> PortId {
        PortId(u16::try_from(self.0 & 0xffff).unwrap_or(0))
    }

    pub(super) fn kind(self) -> EntryKind {
        match (self.0 >> 16) & 0xff {
            0 => EntryKind::Learned,
            1 => EntryKind::Locked,
            2 => EntryKind::Static,
            3 => EntryKind::Sticky,
            5 => EntryKind::Local,
            6 => EntryKind::Extern,
            _ => EntryKind::Blackhole,
        }
    }

    pub(super) fn seen(self) -> u64 {
        (self.0 >> 24) & 0xffff_ffff
    }

    /// Whether a learned entry has not been seen for so many seconds: never too early, and up to a
    /// second late, for within the second noted it may have been seen until the end. One that is to
    /// live for no time has aged as it comes.
    #[inline]
    pub(super) fn aged(self, seconds: u32, now: Timestamp) -> bool {
        let idle = now.as_secs().saturating_sub(self.seen());
        self.kind().is_learned() && (idle > u64::from(seconds) || seconds == 0)
    }

    pub(super) fn seen_at(self, now: Timestamp) -> Self {
        Self(self.0 & 0xff_ffff | (now.as_secs() & 0xffff_ffff) << 24)
    }
}

/// An address in its part of the table as the number it is kept under; never 0, which is an empty
/// slot, for no identifier is 0.
#[inline]
pub(super) fn key(mac: MacAddr, fid: u16) -> u64 {
    u64::from(fid) << 48 | mac.to_u64()
}

/// The identifier in a key.
pub(super) fn fid(key: u64) -> u16 {
    u16::try_from(key >> 48).unwrap_or(0)
}

/// The address in a key.
pub(super) fn mac(key: u64) -> MacAddr {
    MacAddr::from_u64(key & 0xffff_ffff_ffff)
}
