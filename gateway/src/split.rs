//! Cutting a packet that is larger than the next link carries (RFC 791 section 3.2).
//!
//! Only packets that allow it come here, and of a frame that stands for many (GSO) each of them by itself,
//! as the kernel does it where a link cannot carry the segments as they are. A partial checksum is
//! completed first, as no hardware behind us will see the whole.
//! Options without the copied flag stay in the first fragment.

use wire::ipv4::{self, Ipv4};
use wire::offload;
use wire::{Segments, VnetHeader};

use crate::packet::L3;

/// True where the packet in `frame`, or a segment of it, has to be cut to pass a link of this MTU.
#[inline]
pub(crate) fn is_needed(frame: &[u8], vnet: VnetHeader, mtu: usize) -> bool {
    if frame.len() <= L3 + mtu {
        return false;
    }
    let size = match Segments::of(vnet, frame) {
        Some(segments) => segments.packet_len(),
        None => Ipv4::parse(&frame[L3..]).map_or(0, |ip| ip.total_len()),
    };
    size > mtu
}

/// Hands over the packets that a frame stands for, each with the link header before it and what is left to
/// do for it; one that stands for itself as it is.
pub(crate) fn each_packet(
    frame: &mut [u8],
    mut vnet: VnetHeader,
    buffer: &mut Vec<u8>,
    mut each: impl FnMut(&mut [u8], &mut VnetHeader),
) {
    let Some(segments) = Segments::of(vnet, frame) else {
        each(frame, &mut vnet);
        return;
    };
    for piece in (0..segments.packets()).filter_map(|n| segments.piece(n..n + 1, vnet, frame)) {
        let Some((vnet, head)) = piece.head().split_first_chunk() else { return };
        buffer.clear();
        buffer.extend_from_slice(head);
        buffer.extend_from_slice(&frame[piece.body()]);
        each(buffer, &mut VnetHeader::from_bytes(*vnet));
    }
}

/// Cuts the packet in `frame` and hands over each fragment, complete with the link header.
pub(crate) fn split(
    frame: &mut [u8],
    vnet: &mut VnetHeader,
    mtu: usize,
    buffer: &mut Vec<u8>,
    mut each: impl FnMut(&[u8]),
) {
    let Ok(ip) = Ipv4::parse(&frame[L3..]) else { return };
    let (header_len, end) = (ip.header_len(), L3 + ip.total_len());
    let (base, last) = (ip.fragment_offset(), !ip.more_fragments());
    let options = copied_options(ip.options());
    offload::complete_checksum(vnet, frame, end);
    let payload = &frame[L3 + header_len..end];
    let mut at = 0;
    while at < payload.len() {
        let options =
            if at == 0 { &frame[L3 + ipv4::HEADER_LEN..L3 + header_len] } else { &options };
        let header = ipv4::HEADER_LEN + options.len();
        let room = mtu.saturating_sub(header) & !7;
        if room == 0 {
            return;
        }
        let piece = &payload[at..payload.len().min(at + room)];
        let more = !last || at + piece.len() < payload.len();
        buffer.clear();
        buffer.extend_from_slice(&frame[..L3 + ipv4::HEADER_LEN]);
        buffer.extend_from_slice(options);
        buffer.extend_from_slice(piece);
        write_header(&mut buffer[L3..], header, base + at, more);
        each(buffer);
        at += piece.len();
    }
}

fn write_header(ip: &mut [u8], header: usize, offset: usize, more: bool) {
    let words = u8::try_from(header / 4).unwrap_or(5);
    ip[0] = 0x40 | words;
    let total = u16::try_from(ip.len()).unwrap_or(u16::MAX);
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    if let Ok(mut view) = Ipv4::parse(ip) {
        view.set_fragment(offset, more);
        view.fill_checksum();
    }
}

/// The options that every fragment carries, padded to whole words.
fn copied_options(mut options: &[u8]) -> Vec<u8> {
    let mut copied = Vec::new();
    while let Some((&kind, tail)) = options.split_first() {
        if kind == 0 {
            break;
        }
        let length = if kind == 1 { 1 } else { tail.first().map_or(0, |l| usize::from(*l)) };
        let Some((option, rest)) = options.split_at_checked(length.max(1)) else { break };
        if kind & 0x80 != 0 {
            copied.extend_from_slice(option);
        }
        options = rest;
    }
    copied.resize(copied.len().next_multiple_of(4), 0);
    copied
}
