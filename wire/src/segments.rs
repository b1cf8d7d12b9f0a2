//! Frames that stand for many packets (GSO): segments of TCP or UDP behind headers that each packet gets.
//!
//! [`Segments::of`] reads where the headers are; [`Segments::piece`] makes packets of the frame as the
//! kernel does (`skb_segment`, `tcp_gso_segment`): lengths and sequence numbers go on, IPv4
//! identifications count up, FIN and PSH are the last packet's, CWR is the first one's (RFC 3168 6.1.2).
//! A piece is one packet or some that follow each other, which are segments again. Its checksum stays
//! partial.
//!
//! Segments may lie in a tunnel's datagram (VXLAN, GENEVE and whatever else lies in UDP). The
//! virtio-net header has no word for that. What the kernel hands over says of such a frame what it says
//! of the segments alone: their kind, their size, and where their checksum starts, which is beyond the
//! outer headers. Between the outer UDP header and the inner IP header lie bytes that each packet gets as
//! they are, so nothing here has to know which tunnel it is. [`Segments::bundle`] makes such packets as
//! one frame of datagrams.

mod nested;
#[cfg(test)]
mod nested_tests;
mod piece;
mod read;
#[cfg(test)]
mod tests;

use crate::ethernet;
use crate::vnet::{GsoType, VnetHeader};
use crate::{tcp, udp};

pub use piece::Piece;
pub use read::packet_end;

/// Most bytes of all headers; of a frame with more nothing is read.
pub const MOST_HEADERS: usize = 512;
/// Most packets that are made of one frame: as many as 192 KiB of TCP's smallest segments (`min_snd_mss`, 48
/// bytes). A packet socket may ask for more, a byte of data each.
pub const MOST_PACKETS: usize = 4096;

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
const DATA_OFFSET: usize = 12;

/// Where things lie in such a frame; offsets are from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Those of a tunnel before the segments' own.
    outer: Option<Outer>,
    ip: Header,
    transport: usize,
    is_tcp: bool,
    /// Bytes of all headers, and where the data ends.
    headers: usize,
    end: usize,
    /// Bytes of data of each packet but the last.
    size: usize,
}

/// An IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    at: usize,
    version: Version,
}

/// A tunnel's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outer {
    ip: Header,
    udp: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V4,
    V6,
}

impl Segments {
    /// None for any other frame, one whose headers contradict each other, and one whose headers are
    /// longer than [`MOST_HEADERS`].
    #[must_use]
    #[inline]
    pub fn of(vnet: VnetHeader, frame: &[u8]) -> Option<Self> {
        if vnet.gso_type == 0 {
            return None;
        }
        Self::nested(vnet, frame).or_else(|| Self::plain(vnet, frame))
    }

    /// The same of segments in a tunnel alone; no more than [`MOST_PACKETS`].
    #[must_use]
    #[inline]
    pub fn nested(vnet: VnetHeader, frame: &[u8]) -> Option<Self> {
        if vnet.gso_type == 0 || !vnet.needs_csum() {
            return None;
        }
        let is_tcp = is_tcp(vnet)?;
        let (outer, ip, transport) = read::nested(vnet, frame)?;
        Self::behind(Some(outer), ip, transport, is_tcp, (vnet, frame, frame.len()))
            .filter(|segments| segments.packets() <= MOST_PACKETS)
    }

    fn plain(vnet: VnetHeader, frame: &[u8]) -> Option<Self> {
        let is_tcp = is_tcp(vnet)?;
        let (ip, transport, end) = read::plain(vnet, frame)?;
        Self::behind(None, ip, transport, is_tcp, (vnet, frame, end))
    }

    /// Once the headers before the transport's are known.
    fn behind(
        outer: Option<Outer>,
        ip: Header,
        transport: usize,
        is_tcp: bool,
        (vnet, frame, end): (VnetHeader, &[u8], usize),
    ) -> Option<Self> {
        let (own, least) = match is_tcp {
            true => (usize::from(*frame.get(transport + DATA_OFFSET)? >> 4) * 4, tcp::HEADER_LEN),
            false => (udp::HEADER_LEN, udp::HEADER_LEN),
        };
        let (headers, size) = (transport + own, usize::from(vnet.gso_size));
        let segments = Self { outer, ip, transport, is_tcp, headers, end, size };
        let holds = end > headers && headers <= MOST_HEADERS && own >= least && size > 0;
        let field = usize::from(vnet.csum_offset) == segments.field();
        (holds && (field || !vnet.needs_csum())).then_some(segments)
    }

    /// Bytes of the largest packet that it stands for, from the first IP header on.
    #[must_use]
    pub fn packet_len(&self) -> usize {
        let first = self.outer.map_or(self.ip, |outer| outer.ip);
        (self.headers + self.size).min(self.end) - first.at
    }

    /// Bytes of all headers of each, from the first byte of its frame on.
    #[must_use]
    pub fn headers(&self) -> usize {
        self.headers
    }

    /// How many packets it stands for.
    #[must_use]
    pub fn packets(&self) -> usize {
        (self.end - self.headers).div_ceil(self.size)
    }

    /// Bytes of data of each packet but the last.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Of one in a tunnel without a tag in its bytes whose outer header is IPv4: bytes from that one to
    /// the inner IP header, and whether this is IPv6.
    #[must_use]
    pub fn tunnel(&self) -> Option<(usize, bool)> {
        let outer = self.outer?.ip;
        let plain = outer == Header { at: ethernet::HEADER_LEN, version: Version::V4 };
        plain.then_some((self.ip.at - outer.at, self.ip.version == Version::V6))
    }

    /// Where the checksum stands in the transport header.
    fn field(&self) -> usize {
        if self.is_tcp { tcp::CHECKSUM_AT } else { udp::CHECKSUM_AT }
    }
}

/// Whether a frame's segments are TCP's; None where they are neither its nor UDP's.
fn is_tcp(vnet: VnetHeader) -> Option<bool> {
    match vnet.gso() {
        GsoType::TcpV4 | GsoType::TcpV6 => Some(true),
        GsoType::UdpL4 => Some(false),
        GsoType::None | GsoType::Udp | GsoType::Unknown(_) => None,
    }
}

/// Of a length that fits, as all of a frame whose headers tell its length do.
fn small(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

fn get16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
