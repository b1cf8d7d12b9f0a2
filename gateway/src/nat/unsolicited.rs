//! SYNs from outside that nobody asked for (RFC 5382 REQ-4).
//!
//! For six seconds they are met with silence, because the inside may be about to open the same
//! connection (a simultaneous open) and an error would kill it. If it does, the SYN is forgotten;
//! if not, "port unreachable" goes back. When the list is full the SYN is dropped for good.

use std::collections::VecDeque;
use std::time::Duration;

use wire::{MacAddr, Timestamp};

use crate::packet::Endpoint;

/// How long to be silent.
pub(crate) const SILENCE: Duration = Duration::from_secs(6);

/// Enough of the packet to quote: the largest IP header and eight bytes.
pub(crate) const QUOTE: usize = wire::ipv4::MAX_HEADER_LEN + 8;

/// A SYN that waits.
#[derive(Debug)]
pub(crate) struct Pending {
    due: Timestamp,
    port: u16,
    remote: Endpoint,
    pub(crate) from: MacAddr,
    pub(crate) quote: [u8; QUOTE],
    pub(crate) length: usize,
}

/// The SYNs that wait, oldest first.
#[derive(Debug)]
pub(crate) struct Unsolicited {
    waiting: VecDeque<Pending>,
    limit: usize,
}

impl Unsolicited {
    pub(crate) fn new(limit: usize) -> Self {
        Self { waiting: VecDeque::with_capacity(limit), limit }
    }

    /// Remembers a SYN to `port`; a repeated one does not wait anew.
    pub(crate) fn hold(
        &mut self,
        (port, remote): (u16, Endpoint),
        from: MacAddr,
        packet: &[u8],
        now: Timestamp,
    ) {
        // In this order: a flood is to cost no search.
        if self.waiting.len() >= self.limit
            || self.waiting.iter().any(|p| (p.port, p.remote) == (port, remote))
        {
            return;
        }
        let length = packet.len().min(QUOTE);
        let mut quote = [0; QUOTE];
        quote[..length].copy_from_slice(&packet[..length]);
        let due = now + SILENCE;
        self.waiting.push_back(Pending { due, port, remote, from, quote, length });
    }

    /// The inside has opened this connection itself.
    pub(crate) fn forget(&mut self, port: u16, remote: Endpoint) {
        if !self.waiting.is_empty() {
            self.waiting.retain(|p| (p.port, p.remote) != (port, remote));
        }
    }

    /// The next SYN whose silence is over.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<Pending> {
        if self.waiting.front()?.due > now { None } else { self.waiting.pop_front() }
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.waiting.front().map(|p| p.due)
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }
}
