//! One session: an inside endpoint speaking with a remote one through an outside port.
//!
//! In two halves of 32 bytes: [`Session`] is what a look-up needs, [`Rest`] what it does not. Owned
//! by [`super::slots::Slots`]; a free slot has [`State::Free`].

use std::net::Ipv4Addr;

use wire::Timestamp;

use crate::config::Lifetimes;
use crate::node::Node;
use crate::packet::{Endpoint, Protocol};

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// Where a session stands. TCP has states of its own; UDP and ICMP share three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// No session.
    #[default]
    Free,
    /// UDP or ICMP: the inside has sent, nothing has come back.
    Opened,
    /// UDP: the outside has sent, the inside has not answered.
    Unanswered,
    /// UDP or ICMP: both have sent.
    Active,
    /// TCP: SYN from inside.
    SynOut,
    /// TCP: SYN from outside.
    SynIn,
    /// TCP: both SYNs, the last acknowledgement is still to come.
    Opening,
    /// TCP: a connection older than this gateway or than a flush, seen from inside only.
    PickedUp,
    /// TCP: the same, seen from outside only, at a published port.
    PickedUpIn,
    /// TCP: established.
    Established,
    /// TCP: FIN from inside.
    FinOut,
    /// TCP: FIN from outside.
    FinIn,
    /// TCP: both FINs.
    Closing,
    /// TCP: a RST has passed.
    Reset,
}

impl State {
    /// The word printed for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Opened => "opened",
            Self::Unanswered => "unanswered",
            Self::Active => "active",
            Self::SynOut => "syn-out",
            Self::SynIn => "syn-in",
            Self::Opening => "opening",
            Self::PickedUp | Self::PickedUpIn => "picked-up",
            Self::Established => "established",
            Self::FinOut => "fin-out",
            Self::FinIn => "fin-in",
            Self::Closing => "closing",
            Self::Reset => "reset",
        }
    }

    /// True once the inside has answered what the outside has opened.
    pub(crate) const fn is_taken_up(self) -> bool {
        !matches!(
            self,
            Self::Unanswered
                | Self::SynIn
                | Self::Opening
                | Self::PickedUpIn
                | Self::Closing
                | Self::Reset
        )
    }

    /// How long a session in this state outlives its last refresh.
    #[must_use]
    pub const fn lifetime(self, protocol: Protocol, l: &Lifetimes) -> std::time::Duration {
        match (self, protocol) {
            (Self::Unanswered, _) => l.unanswered,
            (_, Protocol::Udp) => l.udp,
            (_, Protocol::Icmp) => l.icmp,
            (Self::Established | Self::FinOut | Self::FinIn, _) => l.tcp_established,
            _ => l.tcp_transitory,
        }
    }
}

/// The session was opened from outside and the inside has not yet made it its own.
pub(crate) const EMBRYONIC: u8 = 1;
/// The outside port belongs to a mapping, whose count of sessions includes this one.
pub(crate) const MAPPED: u8 = 2;
/// The session counts in [`super::filter::Permits`].
pub(crate) const PERMITS: u8 = 4;
/// Where it stands in [`super::order`]: 0 for one that gives way to nobody.
pub(crate) const STANDING: u8 = 8 | 16;
/// It has been used since it got its place there.
pub(crate) const USED: u8 = 32;
/// It stands among those whose end frees no port.
pub(crate) const KEEPS: u8 = 64;
/// The outside has opened it.
pub(crate) const FROM_OUTSIDE: u8 = 128;

/// What a look-up needs of a session.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(32))]
pub(crate) struct Session {
    pub(crate) expires: Timestamp,
    pub(crate) inside: u32,
    pub(crate) remote: u32,
    pub(crate) inside_port: u16,
    pub(crate) outside_port: u16,
    pub(crate) remote_port: u16,
    pub(crate) state: State,
    pub(crate) flags: u8,
    /// The slot of the wheel this session is linked into.
    pub(crate) due: u16,
    /// Whose it is: the node its inside endpoint was on when it was opened.
    pub(crate) node: Node,
    /// Second of the clock at which it was opened.
    pub(crate) opened: u32,
}

/// What it does not: the neighbours in the wheel's list and what has passed. Its place in
/// [`super::order`] lies apart, for few packets change it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(32))]
pub(crate) struct Rest {
    pub(crate) prev: u32,
    pub(crate) next: u32,
    pub(crate) packets_out: u32,
    pub(crate) packets_in: u32,
    pub(crate) bytes_out: Bytes,
    pub(crate) bytes_in: Bytes,
    /// The next session of its mapping ([`super::siblings`]).
    pub(crate) sibling: u32,
}

/// Bytes that have passed, in six bytes: 256 TiB, and then no more.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bytes([u8; 6]);

impl Bytes {
    const MOST: u64 = (1 << 48) - 1;

    #[inline]
    pub(crate) fn get(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }

    #[inline]
    pub(crate) fn add(&mut self, bytes: u64) {
        let sum = self.get().saturating_add(bytes).min(Self::MOST);
        let [a, b, c, d, e, f, ..] = sum.to_le_bytes();
        self.0 = [a, b, c, d, e, f];
    }
}

// Two of each to a cache line.
const _: () = assert!(size_of::<Session>() == 32 && size_of::<Rest>() == 32);

impl Session {
    pub(crate) fn inside(&self) -> Endpoint {
        Endpoint::new(Ipv4Addr::from(self.inside), self.inside_port)
    }

    pub(crate) fn remote(&self) -> Endpoint {
        Endpoint::new(Ipv4Addr::from(self.remote), self.remote_port)
    }

    #[inline]
    pub(crate) fn is_outbound(&self, inside: Endpoint, remote: Endpoint) -> bool {
        self.inside == u32::from(inside.address)
            && self.remote == u32::from(remote.address)
            && self.inside_port == inside.port
            && self.remote_port == remote.port
    }

    #[inline]
    pub(crate) fn is_inbound(&self, outside_port: u16, remote: Endpoint) -> bool {
        self.outside_port == outside_port
            && self.remote == u32::from(remote.address)
            && self.remote_port == remote.port
    }
}
