//! Packets made of a frame of segments: their headers, and which of its bytes follow them.

use std::ops::Range;

use super::{
    Header, MOST_HEADERS, Segments, UDP_LENGTH, V4_ADDRESSES, V4_CHECKSUM, V4_ID, V4_LENGTH,
};
use super::{V6_ADDRESSES, V6_HEADER, V6_LENGTH, Version, get16, small};
use crate::bytes::put16;
use crate::ipv4::{self, protocol};
use crate::vnet::{self, NEEDS_CSUM, VnetHeader};
use crate::{checksum, udp};

/// From the first byte of a TCP header.
const SEQUENCE: usize = 4;
const FLAGS: usize = 13;
const CWR: u8 = 0x80;
const FIN_AND_PSH: u8 = 0x09;
/// Of a vnet header's type: CWR is the first segment's alone (`VIRTIO_NET_HDR_GSO_ECN`).
const ECN: u8 = 0x80;

/// One of the packets that a frame stands for, or some that follow each other.
#[derive(Clone, Debug)]
pub struct Piece {
    head: [u8; vnet::LEN + MOST_HEADERS],
    length: usize,
    body: Range<usize>,
}

impl Piece {
    /// `[vnet header | headers]`.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head[..self.length]
    }

    /// Which bytes of the frame follow its head.
    #[must_use]
    pub fn body(&self) -> Range<usize> {
        self.body.clone()
    }
}

impl Segments {
    /// The packets of these places, as one frame. `frame` is what this was read from, or its headers
    /// alone. None for no packet.
    #[must_use]
    pub fn piece(&self, places: Range<usize>, vnet: VnetHeader, frame: &[u8]) -> Option<Piece> {
        let headers = self.headers;
        let from = places.start.checked_mul(self.size)?;
        let to = places.end.checked_mul(self.size)?.min(self.end - headers);
        if from >= to {
            return None;
        }
        let body = headers + from..headers + to;
        let mut head = [0; vnet::LEN + MOST_HEADERS];
        head[..vnet::LEN].copy_from_slice(&self.told(vnet, from, to).to_bytes());
        let own = head.get_mut(vnet::LEN..vnet::LEN + headers)?;
        own.copy_from_slice(frame.get(..headers)?);
        let end = headers + body.len();
        self.write_transport(own, vnet, (from, to));
        for ip in [Some(self.ip), self.outer.map(|outer| outer.ip)].into_iter().flatten() {
            write_ip(own, ip, end - ip.at, places.start);
        }
        self.write_outer(own, end);
        Some(Piece { head, length: vnet::LEN + headers, body })
    }

    /// What is told of the piece with this data.
    fn told(&self, vnet: VnetHeader, from: usize, to: usize) -> VnetHeader {
        let (gso_type, gso_size) = match (to - from <= self.size, from) {
            (true, _) => (0, 0),
            (false, 0) => (vnet.gso_type, vnet.gso_size),
            (false, _) => (vnet.gso_type & !ECN, vnet.gso_size),
        };
        VnetHeader {
            flags: vnet.flags | NEEDS_CSUM,
            gso_type,
            hdr_len: small(self.headers),
            gso_size,
            csum_start: small(self.transport),
            csum_offset: small(self.field()),
        }
    }

    /// The transport header of the piece with this data.
    fn write_transport(&self, own: &mut [u8], vnet: VnetHeader, (from, to): (usize, usize)) {
        let (at, field) = (self.transport, self.transport + self.field());
        let length = self.headers + (to - from) - at;
        if self.is_tcp {
            let number = &mut own[at + SEQUENCE..at + SEQUENCE + 4];
            let first = u32::from_be_bytes([number[0], number[1], number[2], number[3]]);
            let here = first.wrapping_add(u32::try_from(from).unwrap_or(0));
            number.copy_from_slice(&here.to_be_bytes());
            if from > 0 {
                own[at + FLAGS] &= !CWR;
            }
            if self.headers + to < self.end {
                own[at + FLAGS] &= !FIN_AND_PSH;
            }
        } else {
            put16(own, at + UDP_LENGTH, small(length));
        }
        let partial = if self.has_extensions() && vnet.needs_csum() {
            // One of them may lead to another address. The sum there is is that of the pseudo-header, of
            // which the length alone is another.
            let whole = checksum::fold((self.end - at) as u64);
            u64::from(get16(own, field).unwrap_or(0)) + u64::from(!whole) + length as u64
        } else {
            let number = if self.is_tcp { protocol::TCP } else { protocol::UDP };
            pseudo_header(own, self.ip, number, length)
        };
        put16(own, field, checksum::fold(partial));
    }

    /// Whether headers stand between IP's and the transport's.
    fn has_extensions(&self) -> bool {
        self.ip.version == Version::V6 && self.transport > self.ip.at + V6_HEADER
    }

    /// The outer UDP header of a packet that ends at `end`. Its sum covers the inner packet, whose own sum
    /// is still to be written and makes of that part what the partial one says
    /// (Documentation/networking/checksum-offloads.rst, local checksum offload).
    fn write_outer(&self, own: &mut [u8], end: usize) {
        let Some(outer) = self.outer else { return };
        let (udp, length) = (outer.udp, end - outer.udp);
        put16(own, udp + UDP_LENGTH, small(length));
        if get16(own, udp + udp::CHECKSUM_AT) == Some(0) {
            return;
        }
        put16(own, udp + udp::CHECKSUM_AT, 0);
        let partial = get16(own, self.transport + self.field()).unwrap_or(0);
        let sum = pseudo_header(own, outer.ip, protocol::UDP, length)
            + checksum::sum(&own[udp..self.transport])
            + u64::from(!partial);
        let value = match !checksum::fold(sum) {
            0 => 0xffff,
            value => value,
        };
        put16(own, udp + udp::CHECKSUM_AT, value);
    }
}

/// Length and identification of an IP header, of the packet at `place`.
pub(super) fn write_ip(
    own: &mut [u8],
    Header { at, version }: Header,
    length: usize,
    place: usize,
) {
    match version {
        Version::V6 => put16(own, at + V6_LENGTH, small(length - V6_HEADER)),
        Version::V4 => {
            let id = get16(own, at + V4_ID).unwrap_or(0);
            put16(own, at + V4_ID, id.wrapping_add(small(place)));
            put16(own, at + V4_LENGTH, small(length));
            put16(own, at + V4_CHECKSUM, 0);
            let header = usize::from(own[at] & 0xf) * 4;
            let sum = checksum::checksum(&own[at..at + header]);
            put16(own, at + V4_CHECKSUM, sum);
        }
    }
}

/// The sum of the pseudo-header of what lies in an IP packet (RFC 9293 3.1, RFC 8200 8.1).
pub(super) fn pseudo_header(own: &[u8], ip: Header, number: u8, length: usize) -> u64 {
    let addresses = match ip.version {
        Version::V4 => ip.at + V4_ADDRESSES..ip.at + ipv4::HEADER_LEN,
        Version::V6 => ip.at + V6_ADDRESSES..ip.at + V6_HEADER,
    };
    checksum::sum(&own[addresses]) + u64::from(number) + length as u64
}
