//! Where frames go that are more than the one that came in: ARP, ICMP errors, fragments, and
//! what waited for a neighbour or a first fragment; and packets for the resolver of names.
//!
//! The caller copies the bytes before it returns. The lab's adapter hands them to the switch;
//! tests collect them.

use wire::{Timestamp, VnetHeader};

use crate::asking::{Asked, Asker};
use crate::verdict::Side;

/// Takes additional frames.
pub trait Output {
    /// `frame` leaves on `side`.
    fn send(&mut self, side: Side, vnet: VnetHeader, frame: &[u8]);

    /// A whole IPv4 packet, its checksums complete, to the resolver of names: TCP or UDP to port 53
    /// of one of the gateway's addresses; what the resolver has made of it. Only where
    /// [`crate::Gateway::serve_names`] says so.
    fn ask(&mut self, _from: Asker, _packet: &[u8], _now: Timestamp) -> Asked {
        Asked::Unread
    }
}

/// Keeps every frame; for tests and for `explain`.
#[derive(Default, Debug)]
pub struct Collected(pub Vec<(Side, VnetHeader, Vec<u8>)>);

impl Output for Collected {
    fn send(&mut self, side: Side, vnet: VnetHeader, frame: &[u8]) {
        self.0.push((side, vnet, frame.to_vec()));
    }
}
