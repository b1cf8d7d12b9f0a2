//! What the decision needs to know of a frame in a slot, read out of its bytes and its vnet header.

use wire::{Ethernet, GsoType, VlanTag, VnetHeader, ethernet, ethertype};

use crate::core::Frame;

/// `struct tcphdr`: where the header's length stands.
const TCP_DATA_OFFSET: usize = 12;
const UDP_HEADER: usize = 8;
/// Bytes of a tag that lies within a frame, behind the one that travels beside it.
const TAG: usize = 4;

/// Reads the header; None for a runt.
pub(super) fn read(vnet: VnetHeader, bytes: &[u8], vlan: Option<VlanTag>) -> Option<Frame> {
    let eth = Ethernet::parse(bytes)?;
    let packet = match headers(vnet, bytes) {
        Some(headers) => headers - ethernet::HEADER_LEN + usize::from(vnet.gso_size),
        None => bytes.len() - ethernet::HEADER_LEN,
    };
    // A tag of 802.1Q or 802.1ad is none of the packet, nor is a second one.
    let tag = if matches!(eth.ethertype(), ethertype::VLAN | ethertype::QINQ) { TAG } else { 0 };
    let packet_len = u32::try_from(packet.saturating_sub(tag)).unwrap_or(u32::MAX);
    Some(Frame::new(eth.dst(), eth.src(), vlan, packet_len))
}

/// Bytes of all headers of a GSO frame; None for one that is no GSO frame or does not hold what
/// its vnet header promises.
pub(super) fn headers(vnet: VnetHeader, bytes: &[u8]) -> Option<usize> {
    let transport = usize::from(vnet.csum_start);
    if vnet.gso() == GsoType::None || !vnet.needs_csum() || transport < ethernet::HEADER_LEN {
        return None;
    }
    let len = match vnet.gso() {
        GsoType::TcpV4 | GsoType::TcpV6 => {
            usize::from(bytes.get(transport + TCP_DATA_OFFSET)? >> 4) * 4
        }
        _ => UDP_HEADER,
    };
    (transport + len <= bytes.len()).then_some(transport + len)
}

/// The kernel reports the linear part of its buffer as `hdr_len` and allocates as much linear
/// memory when the frame is sent: tell it of the headers only.
pub(super) fn with_short_headers(vnet: VnetHeader, bytes: &[u8]) -> Option<VnetHeader> {
    let len = u16::try_from(headers(vnet, bytes)?).ok()?;
    (vnet.hdr_len != len).then_some(VnetHeader { hdr_len: len, ..vnet })
}
