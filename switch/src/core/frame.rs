//! What a decision looks at: the few things of a frame that matter to where it goes.

use wire::{MacAddr, VlanTag};

/// What a decision looks at.
///
/// In this order in memory: two addresses side by side are written as one piece and read as two,
/// and then the core has to wait for the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Frame {
    /// Destination address.
    pub dst: MacAddr,
    /// The outermost tag's control information; means nothing without [`Frame::tpid`].
    tci: u16,
    /// Source address.
    pub src: MacAddr,
    /// The outermost tag's protocol; 0 without a tag.
    tpid: u16,
    /// Bytes of the largest layer-3 packet it becomes (after segmentation, for GSO frames).
    pub packet_len: u32,
}

impl Frame {
    /// A frame with its outermost tag.
    #[must_use]
    #[inline]
    pub fn new(dst: MacAddr, src: MacAddr, tag: Option<VlanTag>, packet_len: u32) -> Self {
        let VlanTag { tpid, tci } = tag.unwrap_or(VlanTag { tpid: 0, tci: 0 });
        Self { dst, tci, src, tpid, packet_len }
    }

    /// Its outermost tag.
    #[must_use]
    #[inline]
    pub fn tag(&self) -> Option<VlanTag> {
        (self.tpid != 0).then_some(VlanTag { tpid: self.tpid, tci: self.tci })
    }
}
