//! A frame of TCP segments that is longer than a device takes, as several that it takes.
//!
//! Stacks of a lab hand on up to 192 KiB as one frame (BIG TCP). The device of a tunnel takes 64 KiB
//! with the tunnel's own headers, and past the queue, where the kernel would cut, it refuses more.
//! The pieces stand for the same packets as the whole, and end where one of these ends: sequence
//! numbers and identifications go on, FIN and PSH are the last one's, CWR the first one's (RFC 3168
//! 6.1.2), as where a kernel cuts.
//!
//! Pure, asked for each frame to a port whose device has such a bound.

use std::ops::Range;

use wire::ipv4::{self, protocol};
use wire::{GsoType, VnetHeader, checksum, ethernet, tcp, vnet};

const IP: usize = ethernet::HEADER_LEN;
const V6: usize = 40;
/// The longest headers: Ethernet, IP, TCP with options.
const HEADERS: usize = IP + ipv4::MAX_HEADER_LEN + 60;

/// From the first byte of the IP header.
const V4_LENGTH: usize = 2;
const V4_ID: usize = 4;
const V4_CHECKSUM: usize = 10;
const V4_ADDRESSES: Range<usize> = 12..20;
const V6_LENGTH: usize = 4;
const V6_NEXT: usize = 6;
const V6_ADDRESSES: Range<usize> = 8..40;
/// From the first byte of the TCP header.
const SEQUENCE: usize = 4;
const OFFSET: usize = 12;
const FLAGS: usize = 13;
const CWR: u8 = 0x80;
/// Of a vnet header's type: CWR is the first segment's alone (`VIRTIO_NET_HDR_GSO_ECN`).
const ECN: u8 = 0x80;
const FIN_AND_PSH: u8 = 0x09;

/// The pieces of a frame, in their order.
#[derive(Clone, Debug)]
pub struct Cut {
    vnet: VnetHeader,
    head: [u8; HEADERS],
    /// Bytes of all headers, and those before TCP's.
    headers: usize,
    tcp: usize,
    is_v6: bool,
    /// Bytes behind the headers: of the frame, of a piece, given already.
    payload: usize,
    step: usize,
    given: usize,
}

/// A piece.
#[derive(Clone, Debug)]
pub struct Piece {
    head: [u8; vnet::LEN + HEADERS],
    len: usize,
    body: Range<usize>,
}

impl Piece {
    /// `[vnet header | headers]`.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head[..self.len]
    }

    /// Which bytes of the frame follow its head.
    #[must_use]
    pub fn body(&self) -> Range<usize> {
        self.body.clone()
    }
}

impl Cut {
    /// How a frame is cut into pieces of at most `longest` bytes each. None for one that is no longer,
    /// and one that is not of plain TCP segments over IP: that leaves as it is.
    #[must_use]
    pub fn of(vnet: VnetHeader, frame: &[u8], longest: usize) -> Option<Self> {
        if frame.len() <= longest || !vnet.needs_csum() || vnet.gso_size == 0 {
            return None;
        }
        let tcp = usize::from(vnet.csum_start);
        let is_v6 = match (vnet.gso(), frame.get(IP - 2..=IP)?) {
            (GsoType::TcpV4, [0x08, 0x00, first]) => {
                let ends = IP + usize::from(first & 0xf) * 4;
                let is_tcp = *frame.get(IP + 9)? == protocol::TCP;
                (first >> 4 == 4 && is_tcp && ends == tcp).then_some(false)?
            }
            // No extension headers: what BIG TCP puts there would have to go.
            (GsoType::TcpV6, [0x86, 0xdd, first]) => {
                let is_tcp = *frame.get(IP + V6_NEXT)? == protocol::TCP;
                (first >> 4 == 6 && is_tcp && IP + V6 == tcp).then_some(true)?
            }
            _ => return None,
        };
        let own = usize::from(frame.get(tcp + OFFSET)? >> 4) * 4;
        let headers = tcp + own;
        let payload = frame.len().checked_sub(headers)?;
        let size = usize::from(vnet.gso_size);
        let step = longest.checked_sub(headers)? / size * size;
        if own < tcp::HEADER_LEN || step == 0 {
            return None;
        }
        let mut head = [0; HEADERS];
        head.get_mut(..headers)?.copy_from_slice(&frame[..headers]);
        Some(Self { vnet, head, headers, tcp, is_v6, payload, step, given: 0 })
    }
}

impl Iterator for Cut {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let (from, size) = (self.given, usize::from(self.vnet.gso_size));
        let bytes = (self.payload - from).min(self.step);
        if bytes == 0 {
            return None;
        }
        self.given += bytes;
        let mut head = [0; vnet::LEN + HEADERS];
        let mut vnet = VnetHeader { hdr_len: small(self.headers), ..self.vnet };
        if bytes <= size {
            // A single packet.
            (vnet.gso_type, vnet.gso_size) = (0, 0);
        } else if from > 0 {
            vnet.gso_type &= !ECN;
        }
        head[..vnet::LEN].copy_from_slice(&vnet.to_bytes());
        let own = &mut head[vnet::LEN..vnet::LEN + self.headers];
        own.copy_from_slice(&self.head[..self.headers]);
        let (ip, tcp) = own.split_at_mut(self.tcp);
        let ip = &mut ip[IP..];
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let sequence = sequence.wrapping_add(u32::try_from(from).unwrap_or(0));
        tcp[SEQUENCE..SEQUENCE + 4].copy_from_slice(&sequence.to_be_bytes());
        if from > 0 {
            tcp[FLAGS] &= !CWR;
        }
        if self.given < self.payload {
            tcp[FLAGS] &= !FIN_AND_PSH;
        }
        let segment = tcp.len() + bytes;
        let addresses = if self.is_v6 {
            put16(ip, V6_LENGTH, small(segment));
            &ip[V6_ADDRESSES]
        } else {
            let id = u16::from_be_bytes([ip[V4_ID], ip[V4_ID + 1]]);
            let length = small(ip.len() + segment);
            put16(ip, V4_ID, id.wrapping_add(small(from / size)));
            put16(ip, V4_LENGTH, length);
            put16(ip, V4_CHECKSUM, 0);
            let sum = checksum::checksum(ip);
            put16(ip, V4_CHECKSUM, sum);
            &ip[V4_ADDRESSES]
        };
        let pseudo = checksum::sum(addresses) + u64::from(protocol::TCP) + segment as u64;
        put16(tcp, tcp::CHECKSUM_AT, checksum::fold(pseudo));
        let body = self.headers + from..self.headers + self.given;
        Some(Piece { head, len: vnet::LEN + self.headers, body })
    }
}

/// Of a piece: at most `longest`, which fits.
fn small(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
#[path = "cut_tests.rs"]
mod tests;
