//! One frame on its way through the gateway: its bytes, what was read of them, where additional
//! frames go, and the time.
//!
//! Made by [`crate::Gateway`] for each frame that enters, and for each fragment that had waited; every
//! step of the way takes it.

use wire::{FrameMut, MacAddr, Timestamp};

use crate::nat::fragments::Datagram;
use crate::node::Node;
use crate::output::Output;
use crate::packet::Packet;
use crate::verdict::{DropReason, Side};

/// A packet with where it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) side: Side,
    /// The node it came from; nobody where it came from outside.
    pub(crate) node: Node,
    /// The station that sent it: errors about it go back there.
    pub(crate) from: MacAddr,
    /// Which datagram it is of, as it came.
    pub(crate) datagram: Datagram,
    pub(crate) packet: Packet,
}

/// A frame on its way.
pub(crate) struct Passage<'p, 'f> {
    pub(crate) frame: &'p mut FrameMut<'f>,
    pub(crate) arrival: Arrival,
    pub(crate) out: &'p mut dyn Output,
    pub(crate) now: Timestamp,
}

impl Arrival {
    /// Why a packet whose transport header is cut off is dropped.
    pub(crate) fn short(&self) -> DropReason {
        if self.packet.more_fragments { DropReason::TinyFragment } else { DropReason::Truncated }
    }
}
