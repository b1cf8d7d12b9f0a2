//! The packets of a frame are what a kernel would make of it: complete, in order, each sum right once
//! the device has written the inner one.

use proptest::prelude::*;

use super::nested::LONGEST_PACKET;
use super::*;
use crate::bytes::put16;
use crate::checksum;
use crate::offload::{Completion, complete_checksum};
use crate::vnet::{GSO_UDP_L4, NEEDS_CSUM};

const FIN: u8 = 0x01;
const CWR: u8 = 0x80;
const FIN_AND_PSH: u8 = 0x09;
const ACK: u8 = 0x10;

/// A frame of segments in a tunnel, as a stack hands it on.
#[derive(Clone, Copy, Debug)]
struct Whole {
    tag: bool,
    outer_v6: bool,
    /// Bytes between the outer UDP header and the inner IP header.
    tunnel: usize,
    inner_v6: bool,
    /// An extension header of the inner packet, or options of its header.
    more: bool,
    tcp: bool,
    summed: bool,
    size: u16,
    payload: usize,
    flags: u8,
}

const PLAIN: Whole = Whole {
    tag: false,
    outer_v6: false,
    tunnel: 22,
    inner_v6: false,
    more: false,
    tcp: true,
    summed: true,
    size: 1398,
    payload: 5000,
    flags: ACK | FIN | CWR,
};

impl Whole {
    fn bytes(&self) -> (VnetHeader, Vec<u8>) {
        let own = if self.tcp { 32 } else { 8 };
        let number = if self.tcp { 6 } else { 17 };
        let segment = own + self.payload;
        let inner = ip(self.inner_v6, self.more, number, segment);
        let udp = 8 + self.tunnel + inner.len() + segment;
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        if self.tag {
            frame.extend([0x81, 0, 0, 7]);
        }
        frame.extend(if self.outer_v6 { [0x86, 0xdd] } else { [8, 0] });
        let at = frame.len();
        frame.extend(ip(self.outer_v6, false, 17, udp));
        frame.extend([0xc0, 1, 0x12, 0xb5]);
        frame.extend(small(udp).to_be_bytes());
        let sum = if self.summed { pseudo(&frame[at..], 17, udp) } else { 0 };
        frame.extend(sum.to_be_bytes());
        frame.extend((0..self.tunnel).map(|i| u8::try_from(i).unwrap() | 0x80));
        let at = frame.len();
        frame.extend(&inner);
        let start = frame.len();
        if self.tcp {
            frame.extend([0x9c, 0x40, 0x14, 0x51, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 9]);
            frame.extend([0x80, self.flags, 1, 0, 0, 0, 0, 0]);
            frame.extend([1; 12]);
        } else {
            frame.extend([0x9c, 0x40, 0x14, 0x51]);
            frame.extend(small(segment).to_be_bytes());
            frame.extend([0, 0]);
        }
        let field = if self.tcp { tcp::CHECKSUM_AT } else { udp::CHECKSUM_AT };
        let partial = pseudo(&frame[at..start], number, segment);
        put16(&mut frame, start + field, partial);
        frame.extend((0..self.payload).map(|i| u8::try_from(i * 7 % 251).unwrap()));
        let kind = match (self.tcp, self.inner_v6) {
            (true, false) => 1,
            (true, true) => 4,
            (false, _) => GSO_UDP_L4,
        };
        let vnet = VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: kind,
            hdr_len: 0,
            gso_size: self.size,
            csum_start: small(start),
            csum_offset: small(field),
        };
        (vnet, frame)
    }
}

fn ip(v6: bool, more: bool, number: u8, below: usize) -> Vec<u8> {
    let extra = if more { 8 } else { 0 };
    let mut header = if v6 {
        let mut header = vec![0x60, 0, 0, 7];
        header.extend(small(extra + below).to_be_bytes());
        header.extend([if more { 60 } else { number }, 64]);
        header.extend([0xfd; 31]);
        header.push(9);
        if more {
            header.extend([number, 0, 1, 4, 0, 0, 0, 0]);
        }
        return header;
    } else {
        vec![0x45 + u8::try_from(extra / 4).unwrap(), 0]
    };
    header.extend(small(20 + extra + below).to_be_bytes());
    header.extend([0xff, 0xfe, 0, 0, 64, number, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    header.extend(vec![1; extra]);
    let sum = checksum::checksum(&header);
    put16(&mut header, V4_CHECKSUM, sum);
    header
}

/// The sum of the pseudo-header of an IP packet that begins there.
fn pseudo(packet: &[u8], number: u8, length: usize) -> u16 {
    let addresses = if packet[0] >> 4 == 4 { &packet[12..20] } else { &packet[8..40] };
    checksum::fold(checksum::sum(addresses) + u64::from(number) + length as u64)
}

/// The IP packet at `at` holds a packet of `number` that sums up; where that begins.
fn sums_up(packet: &[u8], number: u8) -> Option<usize> {
    let header = match packet[0] >> 4 {
        4 => {
            assert_eq!(usize::from(get16(packet, 2).unwrap()), packet.len());
            let header = usize::from(packet[0] & 15) * 4;
            assert_eq!(checksum::checksum(&packet[..header]), 0);
            header
        }
        _ => {
            assert_eq!(usize::from(get16(packet, 4).unwrap()) + 40, packet.len());
            if packet[6] == 60 { 48 } else { 40 }
        }
    };
    let below = &packet[header..];
    let sum = u64::from(pseudo(packet, number, below.len())) + checksum::sum(below);
    (checksum::fold(sum) == 0xffff).then_some(header)
}

fn check(whole: Whole) {
    let (vnet, frame) = whole.bytes();
    let nested = Segments::nested(vnet, &frame).expect("nested");
    let l3 = if whole.tag { 18 } else { 14 };
    let mut payload: Vec<u8> = Vec::new();
    let (mut sequences, mut identifications) = (Vec::new(), Vec::new());
    for place in 0..nested.packets() {
        let piece = nested.piece(place..place + 1, vnet, &frame).expect("a packet");
        let (head, own) = piece.head().split_first_chunk().unwrap();
        let mut packet = [own, &frame[piece.body()]].concat();
        assert!(packet.len() - l3 <= nested.packet_len());
        let mut vnet = VnetHeader::from_bytes(*head);
        assert_eq!((vnet.gso_type, vnet.gso_size), (0, 0));
        let end = packet.len();
        assert_eq!(complete_checksum(&mut vnet, &mut packet, end), Completion::Done);
        let outer = &packet[l3..];
        let udp = if whole.outer_v6 { 40 } else { 20 };
        let none = get16(outer, udp + 6) == Some(0);
        assert_eq!(none, !whole.summed);
        assert!(none || sums_up(outer, 17) == Some(udp), "the outer sum of {place}");
        let inner = &outer[udp + 8 + whole.tunnel..];
        let number = if whole.tcp { 6 } else { 17 };
        let at = sums_up(inner, number).expect("the inner sum");
        if !whole.outer_v6 {
            identifications.push(get16(outer, 4).unwrap());
        }
        let segment = &inner[at..];
        if whole.tcp {
            sequences.push(u32::from_be_bytes(segment[4..8].try_into().unwrap()));
            let (first, last) = (place == 0, place + 1 == nested.packets());
            let expected = whole.flags
                & if first { 0xff } else { !CWR }
                & if last { 0xff } else { !FIN_AND_PSH };
            assert_eq!(segment[13], expected);
            payload.extend(&segment[32..]);
        } else {
            assert_eq!(usize::from(get16(segment, 4).unwrap()), segment.len());
            payload.extend(&segment[8..]);
        }
    }
    assert_eq!(payload, frame[frame.len() - whole.payload..]);
    let by = |n: usize| u32::try_from(n * usize::from(whole.size)).unwrap();
    assert!(sequences.iter().enumerate().all(|(n, s)| *s == 0xffff_fff0u32.wrapping_add(by(n))));
    let ids = identifications.iter().enumerate();
    assert!(ids.clone().all(|(n, id)| *id == 0xfffeu16.wrapping_add(small(n))), "{ids:?}");
    assert!(nested.piece(nested.packets()..nested.packets() + 1, vnet, &frame).is_none());
    check_bundles(&nested, vnet, &frame);
}

/// The datagrams of bundles, taken apart as the kernel does it, are the packets.
fn check_bundles(nested: &Segments, vnet: VnetHeader, frame: &[u8]) {
    let mut place = 0;
    while place < nested.packets() {
        let mut made = Vec::new();
        let held = nested.bundle(place, vnet, frame, &mut made);
        let (head, whole) = made.split_first_chunk().unwrap();
        let told = VnetHeader::from_bytes(*head);
        let Outer { ip: Header { at: ip, .. }, udp } = nested.outer.unwrap();
        let headers = udp + 8;
        let each = if told.gso_size == 0 { whole.len() } else { usize::from(told.gso_size) };
        assert_eq!(told.gso_type == 0, held == 1);
        assert!(whole.len() - ip <= LONGEST_PACKET);
        let datagrams: Vec<_> = whole[headers..].chunks(each).collect();
        assert_eq!(datagrams.len(), held);
        for (n, datagram) in datagrams.into_iter().enumerate() {
            let piece = nested.piece(place + n..place + n + 1, vnet, frame).unwrap();
            let (head, own) = piece.head().split_first_chunk().unwrap();
            let mut packet = [own, &frame[piece.body()]].concat();
            let (mut vnet, end) = (VnetHeader::from_bytes(*head), packet.len());
            complete_checksum(&mut vnet, &mut packet, end);
            assert_eq!(datagram, &packet[headers..]);
        }
        let number = u64::from(get16(whole, udp + 6).unwrap());
        let partial = pseudo(&whole[ip..], 17, whole.len() - udp);
        assert_eq!(number, u64::from(partial), "a partial sum");
        place += held;
    }
}

#[test]
fn a_frame_of_vxlan_becomes_its_packets() {
    let (vnet, frame) = PLAIN.bytes();
    let nested = Segments::nested(vnet, &frame).unwrap();
    assert_eq!(nested.packets(), 4);
    assert_eq!(nested.tunnel(), Some((50, false)));
    assert_eq!(nested.packet_len(), 50 + 20 + 32 + 1398);
    check(PLAIN);
}

#[test]
fn only_an_outer_v4_packet_without_a_tag_has_a_tunnel_s_headers() {
    let tunnel = |whole: Whole| {
        let (vnet, frame) = whole.bytes();
        Segments::nested(vnet, &frame).unwrap().tunnel()
    };
    assert_eq!(tunnel(Whole { inner_v6: true, ..PLAIN }), Some((50, true)));
    assert_eq!(tunnel(Whole { outer_v6: true, ..PLAIN }), None);
    assert_eq!(tunnel(Whole { tag: true, ..PLAIN }), None);
}

#[test]
fn plain_segments_are_not_nested() {
    let (vnet, frame) = PLAIN.bytes();
    let none = |vnet: VnetHeader| assert_eq!(Segments::nested(vnet, &frame), None, "{vnet:?}");
    none(VnetHeader { gso_type: 0, ..vnet });
    none(VnetHeader { flags: 0, ..vnet });
    none(VnetHeader { gso_size: 0, ..vnet });
    none(VnetHeader { csum_start: 34, ..vnet });
    none(VnetHeader { csum_start: u16::MAX, ..vnet });
    none(VnetHeader { gso_type: 4, ..vnet });
    none(VnetHeader { csum_offset: 6, ..vnet });
    assert_eq!(Segments::nested(vnet, &frame[..frame.len() - 1]), None, "it says another length");
}

proptest! {
    #[test]
    fn whatever_the_tunnel_its_packets_are_complete(
        (tag, outer_v6, inner_v6, more, tcp, summed) in any::<(bool, bool, bool, bool, bool, bool)>(),
        tunnel in (0usize..100).prop_map(|pairs| pairs * 2),
        size in 8u16..3000,
        payload in 1usize..20_000,
        flags: u8,
    ) {
        let summed = summed || outer_v6;
        let more = more && (inner_v6 || !outer_v6);
        check(Whole {
            tag, outer_v6, tunnel, inner_v6, more, tcp, summed, size, payload, flags,
        });
    }

    #[test]
    fn nothing_that_comes_makes_it_panic(
        seed in any::<[u8; 10]>(),
        at in 0usize..140,
        with: u8,
        cut in 0usize..200,
    ) {
        let (vnet, mut frame) = PLAIN.bytes();
        frame[at] = with;
        frame.truncate(frame.len() - cut);
        for vnet in [vnet, VnetHeader::from_bytes(seed)] {
            if let Some(nested) = Segments::nested(vnet, &frame) {
                prop_assert!((0..nested.packets()).all(|n| nested.piece(n..n + 1, vnet, &frame).is_some()));
            }
        }
    }
}
