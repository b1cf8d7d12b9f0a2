//! The rings that frames go to where no flow has them, and how far each is.

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;

use super::{Table, pair};
use crate::layout::{BLOCK, CAME, ELSEWHERE, GONE, OWN_CROSSING};

/// The ring that frames go to where no flow has them: that of the switch's ports, or that of an uplink
/// in another namespace. Of one ring they come in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// In the switch's namespace.
    Ports,
    /// In the other one.
    Uplink,
}

impl Lane {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ports, Self::Uplink];

    pub(super) fn of(ingress: u32) -> Self {
        if ingress & ELSEWHERE == 0 { Self::Ports } else { Self::Uplink }
    }
}

/// An interface's number in [`Key::ingress`], where it lies in another namespace than the switch's:
/// each namespace counts its own.
#[must_use]
pub const fn elsewhere(ifindex: u32) -> u32 {
    ifindex | ELSEWHERE
}

/// The number that the interface has in its own namespace.
#[must_use]
pub const fn here(ingress: u32) -> u32 {
    ingress & !ELSEWHERE
}

/// What is the gateway's of an uplink in another namespace, and how frames get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The address.
    pub address: Ipv4Addr,
    /// The first and the last of its ports.
    pub ports: [u16; 2],
    /// The crossing's end in the switch's namespace.
    pub crossing: u32,
}

impl Table {
    /// Says what is the gateway's of an uplink elsewhere: before its ring is opened.
    pub fn share(&self, shared: &Shared) {
        let Shared { address, ports: [first, last], crossing } = *shared;
        let control = self.control.get();
        let own = u32::from_ne_bytes(address.octets());
        control[BLOCK].store(pair(first.into(), last.into()), Ordering::SeqCst);
        control[OWN_CROSSING].store(pair(own, crossing), Ordering::SeqCst);
    }

    /// So many more frames of a ring have been sent on, or were lost there.
    pub fn passed(&self, lane: Lane, count: u64) {
        let gone = &self.control.get()[GONE[lane as usize]];
        gone.store(gone.load(Ordering::Relaxed) + count, Ordering::SeqCst);
    }

    /// Tickets drawn, and frames sent on.
    #[must_use]
    pub fn progress(&self, lane: Lane) -> [u64; 2] {
        [CAME, GONE].map(|words| self.control.get()[words[lane as usize]].load(Ordering::SeqCst))
    }

    /// Nothing of what drew a ticket up to `came` is in the ring any more, though not all of it was
    /// seen there.
    pub fn settle(&self, lane: Lane, came: u64) {
        self.control.get()[GONE[lane as usize]].store(came, Ordering::SeqCst);
    }
}
