//! Frames as tests want them: plain ones, and ones whose vnet header promises work.

use wire::{MacAddr, VnetHeader, checksum, vnet};

/// The address of node `n`.
pub(crate) fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

/// A frame of `len` bytes from node to node, of an EtherType nobody acts on, numbered.
pub(crate) fn plain(src: u8, dst: MacAddr, number: u32, len: usize) -> Vec<u8> {
    let mut frame = ethernet(mac(src), dst, 0x88b5);
    frame.extend_from_slice(&number.to_be_bytes());
    frame.resize(len, 0xa5);
    frame
}

/// The number in a plain frame.
pub(crate) fn number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[14..18].try_into().unwrap())
}

pub(crate) fn ethernet(src: MacAddr, dst: MacAddr, ethertype: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&dst.0);
    frame.extend_from_slice(&src.0);
    frame.extend_from_slice(&ethertype.to_be_bytes());
    frame
}

/// What a segment-to-be is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    TcpV4,
    TcpV6,
    UdpV4,
    UdpV6,
}

/// A frame with a partial checksum and `payload` bytes; a GSO frame where `gso_size` is not 0.
/// `inner` is put between addresses and EtherType as a second tag would stand.
pub(crate) fn offloaded(
    src: u8,
    dst: u8,
    kind: Kind,
    payload: usize,
    gso_size: u16,
    inner: Option<u16>,
) -> (VnetHeader, Vec<u8>) {
    let (transport, protocol) = match kind {
        Kind::TcpV4 | Kind::TcpV6 => (20, 6u8),
        Kind::UdpV4 | Kind::UdpV6 => (8, 17u8),
    };
    let mut frame = Vec::new();
    frame.extend_from_slice(&mac(dst).0);
    frame.extend_from_slice(&mac(src).0);
    if let Some(vlan) = inner {
        frame.extend_from_slice(&0x8100u16.to_be_bytes());
        frame.extend_from_slice(&vlan.to_be_bytes());
    }
    let below = u16::try_from(transport + payload).unwrap();
    let pseudo = if matches!(kind, Kind::TcpV6 | Kind::UdpV6) {
        frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend_from_slice(&below.to_be_bytes());
        frame.extend_from_slice(&[protocol, 64]);
        let mut addresses = [0u8; 32];
        (addresses[0], addresses[15]) = (0xfd, src);
        (addresses[16], addresses[31]) = (0xfd, dst);
        frame.extend_from_slice(&addresses);
        checksum::sum(&addresses) + u64::from(below) + u64::from(protocol)
    } else {
        let at = frame.len() + 2;
        frame.extend_from_slice(&[8, 0, 0x45, 0]);
        frame.extend_from_slice(&(below + 20).to_be_bytes());
        frame.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, src, 10, 0, 0, dst]);
        let full = !checksum::fold(checksum::sum(&frame[at..at + 20]));
        frame[at + 10..at + 12].copy_from_slice(&full.to_be_bytes());
        checksum::sum(&[10, 0, 0, src, 10, 0, 0, dst]) + u64::from(below) + u64::from(protocol)
    };
    let start = frame.len();
    frame.extend_from_slice(&[0x30, 0x39, 0x14, 0x51]);
    let offset = if transport == 20 {
        frame.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
        16
    } else {
        frame.extend_from_slice(&below.to_be_bytes());
        frame.extend_from_slice(&[0, 0]);
        6
    };
    let field = start + offset;
    frame[field..field + 2].copy_from_slice(&checksum::fold(pseudo).to_be_bytes());
    let headers = frame.len();
    frame.extend((0..payload).map(|i| u8::try_from(i % 251).unwrap()));
    let gso_type = match (gso_size, kind) {
        (0, _) => 0,
        (_, Kind::TcpV4) => 1,
        (_, Kind::TcpV6) => 4,
        (_, Kind::UdpV4 | Kind::UdpV6) => 5,
    };
    let vnet = VnetHeader {
        flags: vnet::NEEDS_CSUM,
        gso_type,
        hdr_len: if gso_size == 0 { 0 } else { u16::try_from(headers).unwrap() },
        gso_size,
        csum_start: u16::try_from(start).unwrap(),
        csum_offset: u16::try_from(offset).unwrap(),
    };
    (vnet, frame)
}
