//! Where frames go that are more than the one that came in: ARP, ICMP errors, fragments, and
//! what waited for a neighbour or a first fragment; and packets for the resolver of names.
//!
//! The caller copies the bytes before it returns. The lab's adapter hands them to the switch;
//! tests collect them.

use wire::{MacAddr, Timestamp, VnetHeader};

use crate::leg::LegId;
use crate::node::Node;
use crate::verdict::Side;

/// Takes additional frames.
pub trait Output {
    /// `frame` leaves on `side`.
    fn send(&mut self, side: Side, vnet: VnetHeader, frame: &[u8]);

    /// A whole IPv4 packet, its checksums complete, to the resolver of names: TCP or UDP to port 53
    /// of one of the gateway's addresses. Only where [`crate::Gateway::serve_names`] says so.
    fn ask(&mut self, _from: Asker, _packet: &[u8], _now: Timestamp) {}
}

/// Who asks for a name, and how frames go back there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The leg the packet came by.
    pub leg: LegId,
    /// The node it came from.
    pub node: Node,
    /// The station that sent it.
    pub station: MacAddr,
    /// The gateway's own hardware address there.
    pub own: MacAddr,
    /// Largest IP packet there, in bytes.
    pub mtu: usize,
}

/// Keeps every frame; for tests and for `explain`.
#[derive(Default, Debug)]
pub struct Collected(pub Vec<(Side, VnetHeader, Vec<u8>)>);

impl Output for Collected {
    fn send(&mut self, side: Side, vnet: VnetHeader, frame: &[u8]) {
        self.0.push((side, vnet, frame.to_vec()));
    }
}
