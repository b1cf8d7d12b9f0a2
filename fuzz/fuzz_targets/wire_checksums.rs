//! Rewriting addresses and ports: the checksum kept up in place equals the one computed afresh,
//! and a partial checksum completed afterwards equals it too (RFC 1624).

#![no_main]

use std::net::Ipv4Addr;

use libfuzzer_sys::fuzz_target;
use wire::checksum::{self, Delta};
use wire::tcp::{self, End};
use wire::{VnetHeader, offload};

/// VIRTIO_NET_HDR_F_NEEDS_CSUM.
const NEEDS_CSUM: u8 = 1;

fuzz_target!(|input: ([u8; 4], [u8; 4], [u8; 4], u16, Vec<u8>)| {
    let (src, dst, new, port, mut segment) = input;
    let (src, dst, new) = (Ipv4Addr::from(src), Ipv4Addr::from(dst), Ipv4Addr::from(new));
    if segment.len() < 20 || segment.len() > 1500 {
        return;
    }
    let length = u16::try_from(segment.len()).unwrap();
    let mut partial = segment.clone();
    tcp::fill_checksum(&mut segment, src, dst);
    let pseudo = checksum::fold(checksum::pseudo_header(src, dst, 6, length));
    partial[16..18].copy_from_slice(&pseudo.to_be_bytes());

    let address = Delta::NONE.address(src, new);
    let mut fresh = segment.clone();
    let ports = tcp::set_port(&mut segment, End::Src, port);
    tcp::update_checksum(&mut segment, address, ports, false);
    tcp::set_port(&mut fresh, End::Src, port);
    tcp::fill_checksum(&mut fresh, new, dst);
    let valid =
        checksum::fold(checksum::pseudo_header(new, dst, 6, length) + checksum::sum(&segment));
    assert_eq!(valid, 0xffff, "the updated checksum does not verify");

    let ports = tcp::set_port(&mut partial, End::Src, port);
    tcp::update_checksum(&mut partial, address, ports, true);
    let mut vnet = VnetHeader { flags: NEEDS_CSUM, csum_offset: 16, ..VnetHeader::default() };
    let end = partial.len();
    assert_eq!(offload::complete_checksum(&mut vnet, &mut partial, end), offload::Completion::Done);
    let valid =
        checksum::fold(checksum::pseudo_header(new, dst, 6, length) + checksum::sum(&partial));
    assert_eq!(valid, 0xffff, "the completed checksum does not verify");
    assert_eq!(segment[18..], fresh[18..]);
    assert_eq!(segment[..16], fresh[..16]);
});
