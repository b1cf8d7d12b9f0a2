//! Segments inside a tunnel's datagram: a frame that stands for many packets, each of which carries one
//! of TCP's or UDP's (VXLAN, GENEVE and whatever else lies in UDP).
//!
//! The virtio-net header has no word for a tunnel. What the kernel hands over says of such a frame what
//! it says of the segments alone: their kind, their size, and where their checksum starts, which is
//! beyond the outer headers. Between the outer UDP header and the inner IP header lie bytes that each
//! packet gets as they are, so nothing here has to know which tunnel it is.
//!
//! Read from a frame by [`Nested::of`]; the packets it stands for are made by [`Nested::piece`], as the
//! kernel makes them (`skb_udp_tunnel_segment`): lengths, identifications, sequence numbers, and an outer
//! checksum where there was one. The inner one stays partial. [`Nested::bundle`] makes the same packets,
//! as one frame of datagrams.

mod read;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::bytes::put16;
use crate::ethernet;
use crate::ipv4::{self, protocol};
use crate::vnet::{self, GSO_UDP_L4, GsoType, NEEDS_CSUM, VnetHeader};
use crate::{checksum, tcp, udp};

/// Most bytes of all headers; of a frame with more nothing is read.
pub const MOST_HEADERS: usize = 512;

/// Most datagrams of one frame (`UDP_MAX_SEGMENTS` of kernels before 6.9), and the longest IP packet.
const MOST_PACKETS: usize = 64;
const LONGEST_PACKET: usize = 0xffff;

const V6_HEADER: usize = 40;
/// From the first byte of an IP header.
const V4_LENGTH: usize = 2;
const V4_ID: usize = 4;
const V4_FRAGMENT: usize = 6;
const V4_PROTOCOL: usize = 9;
const V4_CHECKSUM: usize = 10;
const V4_ADDRESSES: usize = 12;
const V6_LENGTH: usize = 4;
const V6_NEXT: usize = 6;
const V6_ADDRESSES: usize = 8;
/// From the first byte of a UDP header.
const UDP_LENGTH: usize = 4;
/// From the first byte of a TCP header.
const SEQUENCE: usize = 4;
const DATA_OFFSET: usize = 12;
const FLAGS: usize = 13;
/// CWR is the first segment's alone (RFC 3168 6.1.2), FIN and PSH are the last one's.
const CWR: u8 = 0x80;
const FIN_AND_PSH: u8 = 0x09;

/// Where things lie in such a frame; offsets are from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nested {
    /// The outer IP header and its version.
    outer: (usize, Version),
    udp: usize,
    /// The inner IP header and its version.
    inner: (usize, Version),
    /// The inner transport header, and whether it is TCP's.
    transport: usize,
    is_tcp: bool,
    /// Bytes of all headers, of the whole frame, and behind the headers of each packet but the last.
    headers: usize,
    length: usize,
    size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V4,
    V6,
}

/// One of the packets that a frame stands for.
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

impl Nested {
    /// None for any other frame, one whose headers do not say the same about its length, and one whose
    /// headers are longer than [`MOST_HEADERS`].
    #[must_use]
    #[inline]
    pub fn of(vnet: VnetHeader, frame: &[u8]) -> Option<Self> {
        if vnet.gso_type == 0 || !vnet.needs_csum() {
            return None;
        }
        Self::read(vnet, frame)
    }

    fn read(vnet: VnetHeader, frame: &[u8]) -> Option<Self> {
        let (is_tcp, least) = match vnet.gso() {
            GsoType::TcpV4 | GsoType::TcpV6 => (true, tcp::HEADER_LEN),
            GsoType::UdpL4 => (false, udp::HEADER_LEN),
            GsoType::None | GsoType::Udp | GsoType::Unknown(_) => return None,
        };
        let number = if is_tcp { protocol::TCP } else { protocol::UDP };
        let (outer, udp) = read::outer(frame)?;
        let transport = usize::from(vnet.csum_start);
        let room = transport.checked_sub(udp + udp::HEADER_LEN)?;
        let inner = match vnet.gso() {
            GsoType::TcpV4 => read::inner_v4(frame, transport, room, number)?,
            GsoType::TcpV6 => read::inner_v6(frame, transport, room, number)?,
            _ => read::inner_v4(frame, transport, room, number)
                .or_else(|| read::inner_v6(frame, transport, room, number))?,
        };
        let own = if is_tcp {
            usize::from(*frame.get(transport + DATA_OFFSET)? >> 4) * 4
        } else {
            udp::HEADER_LEN
        };
        let field = if is_tcp { tcp::CHECKSUM_AT } else { udp::CHECKSUM_AT };
        let (headers, size) = (transport + own, usize::from(vnet.gso_size));
        // Sums are of pairs of bytes: of one that began in the middle of a pair none could be told.
        let holds = frame.len() > headers && headers <= MOST_HEADERS && room % 2 == 0;
        let fits = own >= least && usize::from(vnet.csum_offset) == field && size > 0;
        let length = frame.len();
        (holds && fits).then_some(Self {
            outer,
            udp,
            inner,
            transport,
            is_tcp,
            headers,
            length,
            size,
        })
    }

    /// Bytes of the largest packet that it stands for, from the outer IP header on.
    #[must_use]
    pub fn packet_len(&self) -> usize {
        (self.headers + self.size).min(self.length) - self.outer.0
    }

    /// Bytes of all headers of each, from the first byte of its frame on.
    #[must_use]
    pub fn headers(&self) -> usize {
        self.headers
    }

    /// How many packets it stands for.
    #[must_use]
    pub fn packets(&self) -> usize {
        (self.length - self.headers).div_ceil(self.size)
    }

    /// Of one without a tag in its bytes whose outer header is IPv4: bytes from that one to the inner IP
    /// header, and whether this is IPv6.
    #[must_use]
    pub fn tunnel(&self) -> Option<(usize, bool)> {
        let plain = self.outer == (ethernet::HEADER_LEN, Version::V4);
        plain.then_some((self.inner.0 - self.outer.0, self.inner.1 == Version::V6))
    }

    /// The packet of that place, of the frame this was read from.
    #[must_use]
    pub fn piece(&self, place: usize, vnet: VnetHeader, frame: &[u8]) -> Option<Piece> {
        let headers = self.headers;
        let from = place.checked_mul(self.size)?;
        let body = headers + from..self.length.min(headers + from + self.size);
        if body.is_empty() || frame.len() != self.length {
            return None;
        }
        let mut head = [0; vnet::LEN + MOST_HEADERS];
        let single = VnetHeader { gso_type: 0, gso_size: 0, hdr_len: small(headers), ..vnet };
        head[..vnet::LEN].copy_from_slice(&single.to_bytes());
        let own = head.get_mut(vnet::LEN..vnet::LEN + headers)?;
        own.copy_from_slice(frame.get(..headers)?);
        let end = headers + body.len();
        self.write_transport(own, place, (from, end));
        for (at, version) in [self.inner, self.outer] {
            write_ip(own, (at, version), end - at, place);
        }
        self.write_outer(own, end);
        Some(Piece { head, length: vnet::LEN + headers, body })
    }

    /// Makes one frame of the packets from `place` on, as many as it can hold, behind what `into` holds
    /// already: `[vnet header | frame]`, datagrams of UDP that the kernel takes apart (UDP_L4). Their
    /// inner sums are made; that of each datagram is left, also where there was none. How many it holds.
    pub fn bundle(
        &self,
        place: usize,
        vnet: VnetHeader,
        frame: &[u8],
        into: &mut Vec<u8>,
    ) -> usize {
        let shared = self.udp + udp::HEADER_LEN;
        let each = self.headers - shared + self.size;
        let most = MOST_PACKETS.min((LONGEST_PACKET - (shared - self.outer.0)) / each).max(1);
        let start = into.len();
        let mut held = 0;
        while held < most
            && let Some(piece) = self.piece(place + held, vnet, frame)
        {
            let own = &piece.head()[vnet::LEN..];
            let body = &frame[piece.body()];
            if held == 0 {
                into.extend([0; vnet::LEN]);
                into.extend_from_slice(&own[..shared]);
            }
            let at = into.len() + self.transport - shared;
            into.extend_from_slice(&own[shared..]);
            let field = if self.is_tcp { tcp::CHECKSUM_AT } else { udp::CHECKSUM_AT };
            // The header has whole pairs of bytes.
            let value = match !checksum::fold(checksum::sum(&into[at..]) + checksum::sum(body)) {
                0 => 0xffff,
                value => value,
            };
            put16(into, at + field, value);
            into.extend_from_slice(body);
            held += 1;
        }
        self.write_bundle(&mut into[start..], each);
        held
    }

    /// The headers of a bundle in place, each of whose datagrams but the last carries so many bytes.
    fn write_bundle(&self, bundle: &mut [u8], each: usize) {
        let Some((head, own)) = bundle.split_first_chunk_mut::<{ vnet::LEN }>() else { return };
        let (at, end) = (self.udp, own.len());
        *head = VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: GSO_UDP_L4,
            hdr_len: small(at + udp::HEADER_LEN),
            gso_size: small(each),
            csum_start: small(at),
            csum_offset: small(udp::CHECKSUM_AT),
        }
        .to_bytes();
        if end - at - udp::HEADER_LEN <= each {
            // A single datagram.
            head[1] = 0;
            head[4..6].fill(0);
        }
        let (ip, version) = self.outer;
        write_ip(own, (ip, version), end - ip, 0);
        put16(own, at + UDP_LENGTH, small(end - at));
        let pseudo = checksum::sum(&own[addresses(ip, version)])
            + u64::from(protocol::UDP)
            + (end - at) as u64;
        put16(own, at + udp::CHECKSUM_AT, checksum::fold(pseudo));
    }

    /// The inner transport header of a packet that ends at `end` and whose data begins at `from`.
    fn write_transport(&self, own: &mut [u8], place: usize, (from, end): (usize, usize)) {
        let at = self.transport;
        let field = if self.is_tcp {
            let number = &mut own[at + SEQUENCE..at + SEQUENCE + 4];
            let first = u32::from_be_bytes([number[0], number[1], number[2], number[3]]);
            let here = first.wrapping_add(u32::try_from(from).unwrap_or(0));
            number.copy_from_slice(&here.to_be_bytes());
            if place > 0 {
                own[at + FLAGS] &= !CWR;
            }
            if place + 1 < self.packets() {
                own[at + FLAGS] &= !FIN_AND_PSH;
            }
            at + tcp::CHECKSUM_AT
        } else {
            put16(own, at + UDP_LENGTH, small(end - at));
            at + udp::CHECKSUM_AT
        };
        // The partial sum is that of the pseudo-header, of which the length alone is another.
        let partial = u64::from(get16(own, field).unwrap_or(0));
        let lengths = u64::from(!small(self.length - at)) + u64::from(small(end - at));
        put16(own, field, checksum::fold(partial + lengths));
    }

    /// The outer UDP header. Its sum covers the inner packet, whose own sum is still to be written and
    /// makes of that part what the partial one says (Documentation/networking/checksum-offloads.rst,
    /// local checksum offload).
    fn write_outer(&self, own: &mut [u8], end: usize) {
        let (udp, length) = (self.udp, small(end - self.udp));
        put16(own, udp + UDP_LENGTH, length);
        if get16(own, udp + udp::CHECKSUM_AT) == Some(0) {
            return;
        }
        put16(own, udp + udp::CHECKSUM_AT, 0);
        let (ip, version) = self.outer;
        let field = if self.is_tcp { tcp::CHECKSUM_AT } else { udp::CHECKSUM_AT };
        let partial = get16(own, self.transport + field).unwrap_or(0);
        let sum = checksum::sum(&own[addresses(ip, version)])
            + u64::from(protocol::UDP)
            + u64::from(length)
            + checksum::sum(&own[udp..self.transport])
            + u64::from(!partial);
        let value = match !checksum::fold(sum) {
            0 => 0xffff,
            value => value,
        };
        put16(own, udp + udp::CHECKSUM_AT, value);
    }
}

/// Length and identification of the IP header of the packet at `place`.
fn write_ip(own: &mut [u8], (at, version): (usize, Version), length: usize, place: usize) {
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

/// Where the addresses of an IP header are.
fn addresses(ip: usize, version: Version) -> Range<usize> {
    match version {
        Version::V4 => ip + V4_ADDRESSES..ip + ipv4::HEADER_LEN,
        Version::V6 => ip + V6_ADDRESSES..ip + V6_HEADER,
    }
}

/// Of a length that fits, as all of a frame whose headers tell its length do.
fn small(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

fn get16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
