//! Cutting a GSO frame into the packets it stands for, as the last device would, and completing
//! partial checksums: what a receiver's wire would have shown.
//!
//! A frame whose vnet header does not fit its bytes comes out as it went in; a capture shows what
//! was there. Rules as in the kernel's `tcp_gso_segment`: sequence numbers go on, FIN and PSH only
//! in the last, CWR only in the first, IPv4 identifications count up. Segments in a tunnel are cut by
//! [`wire::nested`], with the outer checksum that each would have had.

use std::net::Ipv4Addr;

use wire::ethertype::{IPV4, IPV6, QINQ, VLAN};
use wire::ipv4::protocol::{TCP, UDP};
use wire::offload::complete_checksum;
use wire::{Ethernet, GsoType, Nested, VnetHeader, checksum, ethernet, tcp, udp};

const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;
const IPV6_HEADER: usize = 40;

/// Hands each packet that `frame` stands for to `each`; says how many there were.
pub fn segment(vnet: VnetHeader, frame: &[u8], mut each: impl FnMut(&[u8])) -> usize {
    if let Some(nested) = Nested::of(vnet, frame) {
        for piece in (0..nested.packets()).filter_map(|n| nested.piece(n, vnet, frame)) {
            let Some((vnet, head)) = piece.head().split_first_chunk() else { continue };
            let packet = [head, &frame[piece.body()]].concat();
            each(&whole(VnetHeader::from_bytes(*vnet), &packet));
        }
        return nested.packets();
    }
    let Some(plan) = Plan::of(vnet, frame) else {
        each(&whole(vnet, frame));
        return 1;
    };
    let (headers, data) = frame[..plan.end].split_at(plan.data);
    let mut packet = Vec::with_capacity(plan.data + plan.size);
    let count = data.len().div_ceil(plan.size).max(1);
    for (number, piece) in data.chunks(plan.size).enumerate() {
        packet.clear();
        packet.extend_from_slice(headers);
        packet.extend_from_slice(piece);
        plan.finish(&mut packet, number, number + 1 == count);
        each(&packet);
    }
    if data.is_empty() {
        each(&whole(vnet, frame));
    }
    count
}

/// A frame that stands for itself, with its checksum completed.
fn whole(mut vnet: VnetHeader, frame: &[u8]) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    let end = end_of_packet(frame).unwrap_or(bytes.len());
    // Where the header points outside the frame, the frame stays as it is.
    let _ = complete_checksum(&mut vnet, &mut bytes, end);
    bytes
}

/// Where things are in a frame that is to be cut.
struct Plan {
    net: usize,
    transport: usize,
    data: usize,
    end: usize,
    size: usize,
    v6: bool,
    protocol: u8,
}

impl Plan {
    fn of(vnet: VnetHeader, frame: &[u8]) -> Option<Self> {
        let (v6, protocol) = match vnet.gso() {
            GsoType::TcpV4 => (false, TCP),
            GsoType::TcpV6 => (true, TCP),
            GsoType::UdpL4 => (ethertype(frame)?.0 == IPV6, UDP),
            GsoType::None | GsoType::Udp | GsoType::Unknown(_) => return None,
        };
        let (kind, net) = ethertype(frame)?;
        if kind != if v6 { IPV6 } else { IPV4 } || vnet.gso_size == 0 {
            return None;
        }
        let transport = if vnet.needs_csum() {
            usize::from(vnet.csum_start)
        } else if v6 {
            net + IPV6_HEADER
        } else {
            net + 4 * usize::from(frame.get(net)? & 0xf)
        };
        let header = match protocol {
            TCP => 4 * usize::from(frame.get(transport + 12)? >> 4),
            _ => udp::HEADER_LEN,
        };
        let end = end_of_packet(frame)?;
        let least = if protocol == TCP { tcp::HEADER_LEN } else { udp::HEADER_LEN };
        let network = if v6 { IPV6_HEADER } else { wire::ipv4::HEADER_LEN };
        let fits = header >= least && transport >= net + network && transport + header <= end;
        fits.then_some(Self {
            net,
            transport,
            data: transport + header,
            end,
            size: usize::from(vnet.gso_size),
            v6,
            protocol,
        })
    }

    /// Makes a copied header right for segment `number`.
    fn finish(&self, packet: &mut [u8], number: usize, last: bool) {
        let length = packet.len() - self.transport;
        if self.v6 {
            put16(packet, self.net + 4, packet.len() - self.net - IPV6_HEADER);
        } else {
            put16(packet, self.net + 2, packet.len() - self.net);
            let id = usize::from(get16(packet, self.net + 4)).wrapping_add(number);
            put16(packet, self.net + 4, id);
            put16(packet, self.net + 10, 0);
            let sum = checksum::checksum(&packet[self.net..self.transport]);
            put16(packet, self.net + 10, usize::from(sum));
        }
        let at = self.transport;
        let field = if self.protocol == TCP {
            let skipped = u32::try_from(number * self.size).unwrap_or(u32::MAX);
            let first = u32::from_be_bytes([0, 1, 2, 3].map(|i| packet[at + 4 + i]));
            packet[at + 4..at + 8].copy_from_slice(&first.wrapping_add(skipped).to_be_bytes());
            if !last {
                packet[at + 13] &= !FIN_PSH;
            }
            if number > 0 {
                packet[at + 13] &= !CWR;
            }
            tcp::CHECKSUM_AT
        } else {
            put16(packet, at + 4, length);
            udp::CHECKSUM_AT
        };
        put16(packet, at + field, 0);
        let sum = self.pseudo(packet, length) + checksum::sum(&packet[at..]);
        let value = match !checksum::fold(sum) {
            0 if self.protocol == UDP => 0xffff,
            value => value,
        };
        put16(packet, at + field, usize::from(value));
    }

    fn pseudo(&self, packet: &[u8], length: usize) -> u64 {
        let net = self.net;
        if self.v6 {
            let addresses = &packet[net + 8..net + IPV6_HEADER];
            return checksum::sum(addresses) + u64::from(self.protocol) + length as u64;
        }
        let address = |at: usize| Ipv4Addr::from([0, 1, 2, 3].map(|i| packet[at + i]));
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        checksum::pseudo_header(address(net + 12), address(net + 16), self.protocol, length)
    }
}

/// The EtherType behind any tags, and where the network header starts.
fn ethertype(frame: &[u8]) -> Option<(u16, usize)> {
    let mut kind = Ethernet::parse(frame)?.ethertype();
    let mut net = ethernet::HEADER_LEN;
    while kind == VLAN || kind == QINQ {
        kind = frame.get(net + 2..net + 4).map(|b| u16::from_be_bytes([b[0], b[1]]))?;
        net += 4;
    }
    Some((kind, net))
}

/// Where the packet in a frame ends; padding follows.
fn end_of_packet(frame: &[u8]) -> Option<usize> {
    let (kind, net) = ethertype(frame)?;
    let length = match kind {
        IPV4 => match usize::from(checked16(frame, net + 2)?) {
            // BIG TCP: longer than the field can say, and as long as its bytes.
            0 if frame.len() - net > usize::from(u16::MAX) => frame.len() - net,
            length => length,
        },
        IPV6 => IPV6_HEADER + usize::from(checked16(frame, net + 4)?),
        _ => return None,
    };
    (net + length <= frame.len()).then_some(net + length)
}

fn checked16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]))
}

fn get16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Writes the low sixteen bits.
#[expect(clippy::cast_possible_truncation, reason = "counters of sixteen bits wrap")]
fn put16(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
}

#[cfg(test)]
mod tests;
