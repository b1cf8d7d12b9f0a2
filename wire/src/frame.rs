//! A frame where it lies: in a ring slot, in a scratch buffer, in a test's vector.

use crate::vlan::VlanTag;
use crate::vnet::{self, VnetHeader};

/// One frame, borrowed: `[vnet header | Ethernet frame]` in one piece of memory, and the tag the
/// kernel took out of it. Changing it changes what is sent.
pub struct FrameMut<'a> {
    vnet: &'a mut [u8; vnet::LEN],
    /// The Ethernet frame without its outermost tag.
    pub bytes: &'a mut [u8],
    /// The tag to be put back in front of the EtherType on the way out.
    pub vlan: Option<VlanTag>,
}

impl<'a> FrameMut<'a> {
    /// `memory` is the vnet header followed by the frame; None if it is shorter than that header.
    #[must_use]
    pub fn new(memory: &'a mut [u8], vlan: Option<VlanTag>) -> Option<Self> {
        let (vnet, bytes) = memory.split_first_chunk_mut::<{ vnet::LEN }>()?;
        Some(Self { vnet, bytes, vlan })
    }

    /// The vnet header as numbers.
    #[must_use]
    pub fn vnet(&self) -> VnetHeader {
        VnetHeader::from_bytes(*self.vnet)
    }

    /// Replaces the vnet header.
    pub fn set_vnet(&mut self, header: VnetHeader) {
        *self.vnet = header.to_bytes();
    }
}
