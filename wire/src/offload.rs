//! Doing in software what a frame's vnet header asks of hardware: completing a partial checksum.
//!
//! Needed where a frame stops being what its header describes, as when a router cuts it into
//! fragments. Segments (GSO) are never cut here: they travel whole.

use crate::bytes::put16;
use crate::checksum;
use crate::vnet::{NEEDS_CSUM, VnetHeader};

/// Where and whether the checksum could be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// The header asked for nothing.
    NotNeeded,
    /// The field now holds the full checksum, and the header asks for nothing more.
    Done,
    /// The header points outside the frame; nothing was changed.
    OutOfBounds,
}

/// Completes the checksum of `frame` as `vnet` describes it. `end` bounds the bytes summed: what
/// follows it is padding.
pub fn complete_checksum(vnet: &mut VnetHeader, frame: &mut [u8], end: usize) -> Completion {
    if !vnet.needs_csum() {
        return Completion::NotNeeded;
    }
    let start = usize::from(vnet.csum_start);
    let field = start + usize::from(vnet.csum_offset);
    if end > frame.len() || field + 2 > end {
        return Completion::OutOfBounds;
    }
    // The field holds the pseudo-header sum, so summing over it completes the sum.
    let value = match !checksum::fold(checksum::sum(&frame[start..end])) {
        0 => 0xffff,
        value => value,
    };
    put16(frame, field, value);
    vnet.flags &= !NEEDS_CSUM;
    vnet.csum_start = 0;
    vnet.csum_offset = 0;
    Completion::Done
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{tcp, udp};

    #[test]
    fn completing_equals_computing_in_full() {
        let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(8, 8, 8, 8));
        let mut full: Vec<u8> = (0u8..61).collect();
        full[12] = 0x50;
        tcp::fill_checksum(&mut full, src, dst);
        let mut partial = full.clone();
        let pseudo = checksum::fold(checksum::pseudo_header(src, dst, 6, 61));
        put16(&mut partial, tcp::CHECKSUM_AT, pseudo);
        partial.extend([9; 3]);
        let mut vnet = VnetHeader { flags: NEEDS_CSUM, csum_offset: 16, ..VnetHeader::default() };
        assert_eq!(complete_checksum(&mut vnet, &mut partial, 61), Completion::Done);
        assert_eq!(partial[..61], full[..]);
        assert_eq!(vnet, VnetHeader::default());
        assert_eq!(complete_checksum(&mut vnet, &mut partial, 61), Completion::NotNeeded);
    }

    #[test]
    fn a_header_that_points_outside_changes_nothing() {
        let mut bytes = [1u8; 20];
        let mut vnet =
            VnetHeader { flags: NEEDS_CSUM, csum_start: 13, csum_offset: 6, ..Default::default() };
        assert_eq!(complete_checksum(&mut vnet, &mut bytes, 20), Completion::OutOfBounds);
        assert_eq!(bytes, [1; 20]);
    }

    #[test]
    fn udp_zero_stays_zero_and_computed_zero_becomes_ffff() {
        let delta = checksum::Delta::NONE.word(1, 2);
        let mut none = [0u8; 8];
        udp::update_checksum(&mut none, delta, checksum::Delta::NONE, false);
        assert_eq!(none, [0; 8]);
        let mut one = [0, 0, 0, 0, 0, 0, 0, 1];
        udp::update_checksum(&mut one, delta, checksum::Delta::NONE, false);
        assert_eq!(one[6..], [0xff, 0xff]);
    }
}
