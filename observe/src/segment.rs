//! A frame as a receiver's wire would have shown it: the packets it stands for, each with its checksum.
//!
//! A frame whose vnet header does not fit its bytes comes out as it went in; a capture shows what
//! was there.

use wire::offload::complete_checksum;
use wire::{Segments, VnetHeader, packet_end};

/// Hands each packet that `frame` stands for to `each`; says how many there were.
pub fn segment(vnet: VnetHeader, frame: &[u8], mut each: impl FnMut(&[u8])) -> usize {
    let mut packet = Vec::new();
    let Some(segments) = Segments::of(vnet, frame) else {
        packet.extend_from_slice(frame);
        whole(vnet, &mut packet, packet_end(frame));
        each(&packet);
        return 1;
    };
    for piece in (0..segments.packets()).filter_map(|n| segments.piece(n..n + 1, vnet, frame)) {
        let Some((vnet, head)) = piece.head().split_first_chunk() else { continue };
        packet.clear();
        packet.extend_from_slice(head);
        packet.extend_from_slice(&frame[piece.body()]);
        whole(VnetHeader::from_bytes(*vnet), &mut packet, None);
        each(&packet);
    }
    segments.packets()
}

/// Completes the checksum of a packet that ends there, or with its bytes. Where the header points outside
/// the frame, the frame stays as it is.
fn whole(mut vnet: VnetHeader, packet: &mut [u8], end: Option<usize>) {
    let end = end.unwrap_or(packet.len());
    let _ = complete_checksum(&mut vnet, packet, end);
}

#[cfg(test)]
mod tests;
