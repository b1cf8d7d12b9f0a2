//! The packets of the pieces are those of the whole, cut as Linux does (`tcp_gso_segment`).

use proptest::prelude::*;
use wire::vnet::{self, NEEDS_CSUM};
use wire::{GsoType, checksum, ethernet, tcp};

use super::*;

const IP: usize = ethernet::HEADER_LEN;
const V6: usize = 40;
/// From the first byte of an IP header.
const V4_LENGTH: usize = 2;
const V4_ID: usize = 4;
const V4_FRAGMENT: usize = 6;
const V4_CHECKSUM: usize = 10;
const V6_LENGTH: usize = 4;
/// From the first byte of TCP's.
const OFFSET: usize = 12;
const FLAGS: usize = 13;
const FIN: u8 = 0x01;
const FIN_AND_PSH: u8 = 0x09;
const ACK: u8 = 0x10;
const CWR: u8 = 0x80;
const ECN: u8 = 0x80;

/// A frame of segments as a stack hands it on.
#[derive(Clone, Debug)]
struct Whole {
    v6: bool,
    options: usize,
    tcp_options: usize,
    size: u16,
    payload: usize,
    sequence: u32,
    id: u16,
    flags: u8,
}

impl Whole {
    fn bytes(&self) -> (VnetHeader, Vec<u8>) {
        let segment = 20 + self.tcp_options + self.payload;
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        if self.v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 7]);
            frame.extend(u16::try_from(segment).unwrap_or(0).to_be_bytes());
            frame.extend([6, 64]);
            frame.extend([0xfd; 32]);
        } else {
            let own = 20 + self.options;
            frame.extend([8, 0, 0x40 | u8::try_from(own / 4).unwrap(), 2]);
            // BIG TCP: longer than the field can say.
            frame.extend(u16::try_from(own + segment).unwrap_or(0).to_be_bytes());
            frame.extend(self.id.to_be_bytes());
            frame.extend([0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            frame.extend(vec![1; self.options]);
            let sum = checksum::checksum(&frame[IP..]);
            put16(&mut frame, IP + V4_CHECKSUM, sum);
        }
        let start = frame.len();
        frame.extend([0x9c, 0x40, 0x14, 0x51]);
        frame.extend(self.sequence.to_be_bytes());
        frame.extend([0, 0, 0, 9]);
        frame.push(u8::try_from((20 + self.tcp_options) / 4).unwrap() << 4);
        frame.extend([self.flags, 1, 0, 0, 0, 0, 0]);
        frame.extend(vec![1; self.tcp_options]);
        frame.extend((0..self.payload).map(|i| u8::try_from(i * 7 % 251).unwrap()));
        let pseudo = pseudo(&frame, start);
        put16(&mut frame, start + tcp::CHECKSUM_AT, pseudo);
        let vnet = VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: if self.v6 { 4 } else { 1 } | if self.flags & CWR > 0 { ECN } else { 0 },
            hdr_len: small(start + 20 + self.tcp_options),
            gso_size: self.size,
            csum_start: small(start),
            csum_offset: small(tcp::CHECKSUM_AT),
        };
        (vnet, frame)
    }
}

/// The partial sum of the TCP segment that begins there.
fn pseudo(frame: &[u8], start: usize) -> u16 {
    let addresses = if frame[12] == 8 { &frame[26..34] } else { &frame[22..54] };
    checksum::fold(checksum::sum(addresses) + 6 + (frame.len() - start) as u64)
}

/// The packets that a frame stands for, with their checksums.
fn packets(vnet: VnetHeader, frame: &[u8]) -> Vec<Vec<u8>> {
    let start = usize::from(vnet.csum_start);
    let (headers, payload) = frame.split_at(usize::from(vnet.hdr_len));
    assert_eq!(headers.len(), start + usize::from(headers[start + OFFSET] >> 4) * 4);
    assert_eq!(frame[start + 16..start + 18], pseudo(frame, start).to_be_bytes(), "partial");
    let v4 = frame[12] == 8;
    if v4 {
        assert_eq!(checksum::checksum(&headers[IP..start]), 0, "the IPv4 header's own");
    }
    let size = if vnet.gso() == GsoType::None { payload.len() } else { vnet.gso_size.into() };
    assert!(size > 0);
    let count = payload.len().div_ceil(size);
    let one = |(n, payload): (usize, &[u8])| {
        let mut packet = [headers, payload].concat();
        let sequence = u32::from_be_bytes(headers[start + 4..start + 8].try_into().unwrap());
        let sequence = sequence.wrapping_add(u32::try_from(n * size).unwrap());
        packet[start + 4..start + 8].copy_from_slice(&sequence.to_be_bytes());
        if n > 0 {
            packet[start + FLAGS] &= !CWR;
        }
        if n + 1 < count {
            packet[start + FLAGS] &= !FIN_AND_PSH;
        }
        let length = packet.len() - IP;
        if v4 {
            let id = u16::from_be_bytes([headers[IP + 4], headers[IP + 5]]);
            put16(&mut packet, IP + V4_ID, id.wrapping_add(small(n)));
            put16(&mut packet, IP + V4_LENGTH, small(length));
            put16(&mut packet, IP + V4_CHECKSUM, 0);
            let sum = checksum::checksum(&packet[IP..start]);
            put16(&mut packet, IP + V4_CHECKSUM, sum);
        } else {
            put16(&mut packet, IP + V6_LENGTH, small(length - V6));
        }
        let partial = pseudo(&packet, start);
        put16(&mut packet, start + 16, partial);
        let sum = checksum::checksum(&packet[start..]);
        put16(&mut packet, start + 16, sum);
        packet
    };
    payload.chunks(size).enumerate().map(one).collect()
}

fn pieces(vnet: VnetHeader, frame: &[u8], longest: usize) -> Option<Vec<(VnetHeader, Vec<u8>)>> {
    Some(all(Cut::of(vnet, frame, longest)?, frame))
}

fn all(cut: Cut, frame: &[u8]) -> Vec<(VnetHeader, Vec<u8>)> {
    let whole = |piece: Piece| {
        let (vnet, head) = piece.head().split_first_chunk().unwrap();
        (VnetHeader::from_bytes(*vnet), [head, &frame[piece.body()]].concat())
    };
    cut.map(whole).collect()
}

fn whole() -> impl Strategy<Value = Whole> {
    let options = (0usize..=10, 0usize..=10).prop_map(|(ip, tcp)| (ip * 4, tcp * 4));
    let numbers = (any::<u32>(), any::<u16>());
    let flags = prop::sample::subsequence(vec![CWR, FIN, 0x08], 0..=3);
    (any::<bool>(), options, 1u16..=9000, 1usize..=196_000, numbers, flags).prop_map(
        |(v6, (options, tcp_options), size, payload, (sequence, id), flags)| Whole {
            v6,
            options: if v6 { 0 } else { options },
            tcp_options,
            size: if payload > 60_000 { size.max(500) } else { size },
            payload,
            sequence,
            id,
            flags: flags.into_iter().fold(ACK, |all, flag| all | flag),
        },
    )
}

proptest! {
    #[test]
    fn the_packets_are_the_same(whole in whole(), longest in 9_200usize..=65_400) {
        let (vnet, frame) = whole.bytes();
        match pieces(vnet, &frame, longest) {
            None => prop_assert!(frame.len() <= longest),
            Some(pieces) => {
                prop_assert!(frame.len() > longest && pieces.len() > 1);
                prop_assert!(pieces.iter().all(|(_, piece)| piece.len() <= longest));
                let cut: Vec<_> =
                    pieces.iter().flat_map(|(vnet, piece)| packets(*vnet, piece)).collect();
                prop_assert_eq!(cut, packets(vnet, &frame));
            }
        }
    }

    #[test]
    fn each_leaves_by_itself_where_the_tags_want_that(whole in whole()) {
        let (vnet, frame) = whole.bytes();
        let few = Segments::of(vnet, &frame).is_some_and(|own| own.packets() <= MOST_PACKETS);
        let cut = Cut::singly(vnet, &frame);
        prop_assert_eq!(cut.is_some(), few, "no more than that are made of one");
        let Some(cut) = cut else { return Ok(()) };
        let pieces = all(cut, &frame);
        prop_assert!(pieces.iter().all(|(vnet, _)| vnet.gso() == GsoType::None));
        let cut: Vec<_> = pieces.iter().flat_map(|(vnet, piece)| packets(*vnet, piece)).collect();
        prop_assert_eq!(cut, packets(vnet, &frame));
    }

    /// Whatever a node hands on, there is no panic, and nothing is added or lost.
    #[test]
    fn any_bytes_are_cut_or_left(
        mut frame in prop::collection::vec(any::<u8>(), 60..400),
        vnet in any::<[u8; 10]>(),
        longest in 0usize..300,
        is_v6 in any::<bool>(),
    ) {
        let vnet = VnetHeader {
            flags: NEEDS_CSUM,
            csum_start: if is_v6 { 54 } else { 34 },
            csum_offset: 16,
            ..VnetHeader::from_bytes(vnet)
        };
        let start: &[u8] = if is_v6 { &[0x86, 0xdd, 0x60] } else { &[8, 0, 0x45] };
        frame[12..15].copy_from_slice(start);
        frame[if is_v6 { 20 } else { 23 }] = 6;
        let length = small(frame.len() - IP);
        if is_v6 {
            put16(&mut frame, IP + V6_LENGTH, length - small(V6));
        } else {
            put16(&mut frame, IP + V4_LENGTH, length);
            put16(&mut frame, IP + V4_FRAGMENT, 0x4000);
        }
        for gso in [vnet.gso_type, 1, 4] {
            let Some(cut) = Cut::of(VnetHeader { gso_type: gso, ..vnet }, &frame, longest) else {
                continue;
            };
            let mut next = cut.segments.headers();
            for piece in cut {
                prop_assert_eq!(piece.body().start, next);
                prop_assert!(piece.head().len() - vnet::LEN + piece.body().len() <= longest);
                next = piece.body().end;
            }
            prop_assert_eq!(next, frame.len());
        }
    }
}

#[test]
fn what_is_no_tcp_leaves_as_it_is() {
    let whole = Whole {
        v6: false,
        options: 0,
        tcp_options: 12,
        size: 1398,
        payload: 190_000,
        sequence: 7,
        id: 65_500,
        flags: ACK,
    };
    let (vnet, frame) = whole.bytes();
    assert_eq!(pieces(vnet, &frame, 65_400).map(|pieces| pieces.len()), Some(3));
    for vnet in [
        VnetHeader { gso_type: 5, ..vnet },
        VnetHeader { gso_type: 4, ..vnet },
        VnetHeader { gso_size: 0, ..vnet },
        VnetHeader { flags: 0, ..vnet },
        VnetHeader { csum_start: 38, ..vnet },
    ] {
        assert!(Cut::of(vnet, &frame, 65_400).is_none(), "{vnet:?}");
    }
    assert!(Cut::of(vnet, &frame, 1_000).is_none(), "not even one packet fits");
}

fn small(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}
