//! What a session saw, as it is told to whoever watches.

use std::net::Ipv4Addr;
use std::time::Duration;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An answer.
    Reply(Reply),
    /// An ICMP error, or a redirect.
    Error {
        /// About this probe.
        seq: u16,
        /// The router that sent it.
        from: Ipv4Addr,
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
        /// MTU, pointer or gateway, as the type has it; else 0.
        info: u32,
    },
    /// The next probe is due, and this one has no answer.
    Silent {
        /// Its number.
        seq: u16,
    },
    /// A probe could not leave.
    Refused {
        /// Its number.
        seq: u16,
        /// Why.
        why: Refusal,
    },
}

/// Why a probe did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is longer than the path carries, and must not be fragmented.
    TooLong {
        /// The path's MTU.
        mtu: u32,
    },
    /// The kernel's reason.
    Errno(i32),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its sequence number.
    pub seq: u16,
    /// Who sent it.
    pub from: Ipv4Addr,
    /// Time to live when it arrived, where the socket tells.
    pub ttl: Option<u8>,
    /// Bytes of ICMP.
    pub bytes: usize,
    /// Round trip.
    pub rtt: Duration,
    /// When it arrived, by the kernel's stamp: nanoseconds of the wall clock; None where there is
    /// none, or the clock was stepped meanwhile. A round trip before that the probe left.
    pub stamp: Option<u64>,
    /// What is odd about it.
    pub odd: Odd,
}

/// What an answer is besides an answer. All may be true of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Odd {
    /// Its probe was answered before.
    pub duplicate: bool,
    /// The checksum is wrong.
    pub bad_checksum: bool,
    /// The payload is shorter than what was sent.
    pub truncated: bool,
    /// The payload differs from what was sent.
    pub changed: Option<Change>,
    /// It came from another address than the one that was asked.
    pub elsewhere: bool,
    /// The answer before had this time to live, which is another.
    pub ttl_was: Option<u8>,
    /// The time to wait had passed.
    pub late: bool,
    /// A later probe was answered before.
    pub reordered: bool,
}

/// Where a payload differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first byte that does.
    pub at: usize,
    /// What was sent there.
    pub sent: u8,
    /// What came back.
    pub got: u8,
    /// All that came back.
    pub payload: Vec<u8>,
}
