//! Where frames go that are more than the one that came in: ARP, ICMP errors, fragments, and
//! what waited for a neighbour or a first fragment.
//!
//! The caller copies the bytes before it returns. The lab's adapter hands them to the switch;
//! tests collect them.

use wire::VnetHeader;

use crate::verdict::Side;

/// Takes additional frames.
pub trait Output {
    /// `frame` leaves on `side`.
    fn send(&mut self, side: Side, vnet: VnetHeader, frame: &[u8]);
}

/// Keeps every frame; for tests and for `explain`.
#[derive(Default, Debug)]
pub struct Collected(pub Vec<(Side, VnetHeader, Vec<u8>)>);

impl Output for Collected {
    fn send(&mut self, side: Side, vnet: VnetHeader, frame: &[u8]) {
        self.0.push((side, vnet, frame.to_vec()));
    }
}
