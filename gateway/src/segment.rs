//! Cutting a frame that stands for many packets (GSO) into these packets, as the kernel does it
//! where a link cannot carry the segments as they are (`skb_segment`, RFC 9293 for what of a TCP
//! header the first and the last keep for themselves).
//!
//! Called by egress for what allows fragments and is too large for the next link; what comes out is
//! then cut further. Each packet is complete: length, identification, checksums; what is partial of a
//! tunnel's is told.

use wire::ipv4::{Ipv4, protocol};
use wire::{Nested, VnetHeader, tcp, udp};

use crate::packet::L3;

/// Of the TCP flags, those that the last segment alone has (FIN, PSH), and the first alone (CWR).
const LAST: u8 = 0x09;
const FIRST: u8 = 0x80;
const FLAGS_AT: usize = 13;
const UDP_HEADER: usize = 8;
const SEQUENCE_AT: usize = 4;

/// Hands over the packets that `frame` stands for, each with the link header before it, and what is left
/// to do for it.
pub(crate) fn segments(
    frame: &[u8],
    vnet: VnetHeader,
    buffer: &mut Vec<u8>,
    mut each: impl FnMut(&mut [u8], VnetHeader),
) {
    if let Some(nested) = Nested::of(vnet, frame) {
        for piece in (0..nested.packets()).filter_map(|n| nested.piece(n, vnet, frame)) {
            let Some((vnet, head)) = piece.head().split_first_chunk() else { return };
            buffer.clear();
            buffer.extend_from_slice(head);
            buffer.extend_from_slice(&frame[piece.body()]);
            each(buffer, VnetHeader::from_bytes(*vnet));
        }
        return;
    }
    let Ok(ip) = Ipv4::parse(&frame[L3..]) else { return };
    let (l4, end) = (L3 + ip.header_len(), L3 + ip.total_len());
    let header = header_len(&ip);
    let Some(data) = frame.get(l4 + header..end) else { return };
    let size = usize::from(vnet.gso_size).max(1);
    let count = data.len().div_ceil(size);
    for (place, piece) in data.chunks(size).enumerate() {
        buffer.clear();
        buffer.extend_from_slice(&frame[..l4 + header]);
        buffer.extend_from_slice(piece);
        finish(&mut buffer[L3..], l4 - L3, place, place * size, place + 1 == count);
        each(buffer, VnetHeader::default());
    }
}

/// Bytes of the transport header that each segment gets.
#[inline]
pub(crate) fn header_len<B: AsRef<[u8]>>(ip: &Ipv4<B>) -> usize {
    match ip.protocol() {
        protocol::TCP => {
            wire::Tcp::parse(ip.payload()).map_or(tcp::HEADER_LEN, |tcp| tcp.header_len())
        }
        _ => UDP_HEADER,
    }
}

/// Makes the copied headers those of the segment at `place`, whose data begins at `offset`.
fn finish(packet: &mut [u8], header: usize, place: usize, offset: usize, is_last: bool) {
    let length = packet.len();
    let low16 = |n: usize| u16::try_from(n & 0xffff).unwrap_or(0);
    packet[2..4].copy_from_slice(&low16(length).to_be_bytes());
    let Ok(mut ip) = Ipv4::parse(&mut *packet) else { return };
    let id = ip.id().wrapping_add(low16(place));
    ip.set_id(id);
    ip.fill_checksum();
    let (src, dst, number) = (ip.src(), ip.dst(), ip.protocol());
    let l4 = &mut packet[header..];
    if number == protocol::TCP {
        let low32 = u32::try_from(offset).unwrap_or(0);
        let field = &mut l4[SEQUENCE_AT..SEQUENCE_AT + 4];
        let first = u32::from_be_bytes([field[0], field[1], field[2], field[3]]);
        field.copy_from_slice(&first.wrapping_add(low32).to_be_bytes());
        if !is_last {
            l4[FLAGS_AT] &= !LAST;
        }
        if place > 0 {
            l4[FLAGS_AT] &= !FIRST;
        }
        tcp::fill_checksum(l4, src, dst);
    } else {
        let below = low16(l4.len());
        l4[4..6].copy_from_slice(&below.to_be_bytes());
        udp::fill_checksum(l4, src, dst);
    }
}
