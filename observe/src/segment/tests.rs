use proptest::prelude::*;
use wire::ethertype::{IPV4, IPV6};
use wire::ipv4::protocol::{TCP, UDP};
use wire::vnet::NEEDS_CSUM;
use wire::{Ipv4, Tcp, Udp, checksum};

use super::*;

const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

const SRC: [u8; 4] = [10, 100, 0, 10];
const DST: [u8; 4] = [10, 100, 0, 20];

fn ethernet(kind: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(kind.to_be_bytes());
    frame
}

/// An IPv4 or IPv6 GSO frame with `data` as payload and its vnet header.
fn gso(v6: bool, protocol: u8, flags: u8, data: &[u8], size: u16) -> (VnetHeader, Vec<u8>) {
    let header = if protocol == TCP { 32 } else { 8 };
    let length = u16::try_from(header + data.len()).unwrap();
    let mut frame = ethernet(if v6 { IPV6 } else { IPV4 });
    if v6 {
        frame.extend([0x60, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([protocol, 64]);
        frame.extend([[0xfd; 16], [0xfc; 16]].concat());
    } else {
        frame.extend([0x45, 0]);
        frame.extend((length + 20).to_be_bytes());
        frame.extend([0xff, 0xfe, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend([SRC, DST].concat());
        let sum = checksum::checksum(&frame[14..34]);
        put16(&mut frame, 24, sum);
    }
    let start = frame.len();
    frame.extend([0x1f, 0x90, 0, 80]);
    if protocol == TCP {
        frame.extend([0xff, 0xff, 0xff, 0, 0, 0, 0, 9, 0x80, flags, 1, 0, 0, 0, 0, 0]);
        frame.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    } else {
        frame.extend(length.to_be_bytes());
        frame.extend([0, 0]);
    }
    frame.extend(data);
    let gso_type = match (v6, protocol) {
        (_, UDP) => 5,
        (true, _) => 4,
        (false, _) => 1,
    };
    let vnet = VnetHeader {
        flags: NEEDS_CSUM,
        gso_type,
        hdr_len: u16::try_from(start + header).unwrap(),
        gso_size: size,
        csum_start: u16::try_from(start).unwrap(),
        csum_offset: if protocol == TCP { 16 } else { 6 },
    };
    (vnet, frame)
}

fn get16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn cut(vnet: VnetHeader, frame: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let count = segment(vnet, frame, |packet| out.push(packet.to_vec()));
    assert_eq!(count, out.len());
    out
}

fn sum_is_right(packet: &[u8], v6: bool, protocol: u8) -> bool {
    let (at, addresses) = if v6 { (54, &packet[22..54]) } else { (34, &packet[26..34]) };
    let transport = &packet[at..];
    let pseudo = checksum::sum(addresses) + u64::from(protocol) + transport.len() as u64;
    checksum::fold(pseudo + checksum::sum(transport)) == 0xffff
}

#[test]
fn fin_and_push_are_of_the_last_cwr_of_the_first() {
    let (vnet, frame) = gso(false, TCP, 0x10 | FIN_PSH | CWR, &[1; 2500], 1000);
    let flags: Vec<u8> = cut(vnet, &frame).iter().map(|p| p[47]).collect();
    assert_eq!(flags, [0x10 | CWR, 0x10, 0x10 | FIN_PSH]);
}

#[test]
fn udp_lengths_are_of_each_segment() {
    let (vnet, frame) = gso(false, UDP, 0, &[1; 25], 10);
    let lengths: Vec<u16> =
        cut(vnet, &frame).iter().map(|p| Udp::parse(&p[34..]).unwrap().length()).collect();
    assert_eq!(lengths, [18, 18, 13]);
}

#[test]
fn padding_is_no_data() {
    let (vnet, mut frame) = gso(false, TCP, 0x10, &[1; 20], 10);
    frame.extend([0; 9]);
    assert_eq!(cut(vnet, &frame).len(), 2);
}

#[test]
fn a_tagged_frame_is_cut_behind_its_tag() {
    let (vnet, mut frame) = gso(false, TCP, 0x10, &[1; 20], 10);
    frame.splice(12..12, [0x81, 0, 0, 7]);
    let vnet = VnetHeader { csum_start: vnet.csum_start + 4, ..vnet };
    let packets = cut(vnet, &frame);
    assert_eq!(packets.len(), 2);
    assert!(packets.iter().all(|p| p[12..16] == [0x81, 0, 0, 7] && p.len() == 18 + 20 + 32 + 10));
}

#[test]
fn a_partial_checksum_is_completed() {
    let (vnet, frame) = gso(false, UDP, 0, &[5; 11], 0);
    let mut frame = frame;
    let pseudo = checksum::fold(checksum::pseudo_header(SRC.into(), DST.into(), UDP, 19));
    put16(&mut frame, 40, pseudo);
    let packets = cut(VnetHeader { gso_type: 0, ..vnet }, &frame);
    assert!(packets.len() == 1 && sum_is_right(&packets[0], false, UDP));
}

proptest! {
    #[test]
    fn segments_put_together_are_the_data(
        v6: bool, tcp: bool, data in proptest::collection::vec(0u8.., 1..4000), size in 1u16..2000,
    ) {
        let protocol = if tcp { TCP } else { UDP };
        let (vnet, frame) = gso(v6, protocol, 0x18, &data, size);
        let packets = cut(vnet, &frame);
        prop_assert_eq!(packets.len(), data.len().div_ceil(usize::from(size)));
        let headers = frame.len() - data.len();
        let joined: Vec<u8> = packets.iter().flat_map(|p| p[headers..].to_vec()).collect();
        prop_assert_eq!(joined, data);
        for (number, packet) in packets.iter().enumerate() {
            prop_assert!(sum_is_right(packet, v6, protocol));
            if !v6 {
                let ip = Ipv4::parse(&packet[14..]).unwrap();
                prop_assert!(ip.checksum_ok());
                prop_assert_eq!(ip.total_len(), packet.len() - 14);
                prop_assert_eq!(usize::from(ip.id()), (0xfffe + number) & 0xffff);
            }
            if tcp {
                let at = if v6 { 54 } else { 34 };
                let skipped = u32::try_from(number * usize::from(size)).unwrap();
                let sequence = Tcp::parse(&packet[at..]).unwrap().sequence();
                prop_assert_eq!(sequence, 0xffff_ff00u32.wrapping_add(skipped));
            }
        }
    }

    #[test]
    fn no_header_panics(
        bytes in proptest::collection::vec(0u8.., 0..200),
        flags in 0u8..4, gso_type in 0u8..7, gso_size in 0u16..40, csum_start in 0u16..220,
        csum_offset in 0u16..40, ip: bool,
    ) {
        let mut bytes = bytes;
        if ip && bytes.len() > 24 {
            bytes[12..15].copy_from_slice(&[8, 0, 0x45]);
        }
        let vnet = VnetHeader { flags, gso_type, hdr_len: 0, gso_size, csum_start, csum_offset };
        prop_assert!(segment(vnet, &bytes, |_| ()) >= 1);
    }
}

#[test]
fn a_packet_longer_than_its_length_can_say_is_cut_too() {
    let (vnet, mut frame) = gso(false, TCP, 0x10, &[1; 1000], 1000);
    frame[16..18].copy_from_slice(&[0, 0]);
    frame.extend([1; 99_000]);
    let packets = cut(vnet, &frame);
    assert_eq!(packets.len(), 100);
    for packet in &packets {
        assert_eq!(Ipv4::parse(&packet[14..]).unwrap().total_len(), 20 + 32 + 1000);
        assert!(sum_is_right(packet, false, TCP));
    }
}

#[test]
fn segments_in_a_tunnel_are_whole_packets_of_it() {
    let (inner_vnet, inner) = gso(false, TCP, 0x10, &[7; 3500], 1000);
    let length = u16::try_from(inner.len() + 16).unwrap();
    let mut frame = ethernet(IPV4);
    frame.extend([0x45, 0]);
    frame.extend((length + 20).to_be_bytes());
    frame.extend([0, 9, 0, 0, 64, UDP, 0, 0]);
    frame.extend([SRC, DST].concat());
    let sum = checksum::checksum(&frame[14..34]);
    put16(&mut frame, 24, sum);
    frame.extend([0xc0, 1, 0x12, 0xb5]);
    frame.extend(length.to_be_bytes());
    // What a stack leaves there: the sum of the pseudo-header.
    frame.extend([0x12, 0x34, 8, 0, 0, 0, 0, 0, 5, 0]);
    frame.extend(&inner);
    let vnet = VnetHeader { csum_start: inner_vnet.csum_start + 50, ..inner_vnet };
    let packets = cut(vnet, &frame);
    let inside = cut(inner_vnet, &inner);
    assert_eq!(packets.len(), 4);
    for (n, (packet, inside)) in packets.iter().zip(&inside).enumerate() {
        assert!(sum_is_right(packet, false, UDP), "the outer sum of {n}");
        assert_eq!(packet[50..], inside[..], "what {n} carries");
        assert_eq!(checksum::checksum(&packet[14..34]), 0);
        assert_eq!(usize::from(get16(packet, 38)), packet.len() - 34);
        assert_eq!(usize::from(get16(packet, 18)), 9 + n);
    }
}
