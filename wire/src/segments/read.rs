//! Where the headers of a frame of segments are. In a tunnel: the outer ones from the front, the inner IP
//! header back from the transport header, whose place is told.

use super::{Header, Outer, UDP_LENGTH, V4_FRAGMENT, V4_LENGTH, V4_PROTOCOL, V6_HEADER, V6_LENGTH};
use super::{V6_NEXT, Version, get16};
use crate::ipv4::{self, protocol};
use crate::vnet::{GsoType, VnetHeader};
use crate::{ethernet, ethertype, udp};

/// Bytes of the extension headers of an IPv6 packet that are looked through, at most.
const EXTENSIONS: usize = 64;
const TAG: usize = 4;
/// Tags of a tunnel's own frame that are looked through, at most.
const OUTER_TAGS: usize = 1;

/// Where the packet in a frame ends, behind whatever tags; padding follows. None for anything but IP, and
/// where the frame ends before it.
#[must_use]
pub fn packet_end(frame: &[u8]) -> Option<usize> {
    end_of(frame, network(frame, usize::MAX)?)
}

/// The headers of segments in no tunnel: IP's, the place of the transport's, and where the packet ends.
pub(super) fn plain(vnet: VnetHeader, frame: &[u8]) -> Option<(Header, usize, usize)> {
    let ip = network(frame, usize::MAX)?;
    let end = end_of(frame, ip)?;
    let own = match ip.version {
        Version::V4 => ip.at + usize::from(*frame.get(ip.at)? & 0xf) * 4,
        Version::V6 => ip.at + V6_HEADER,
    };
    let told = vnet.needs_csum().then(|| usize::from(vnet.csum_start));
    let transport = told.unwrap_or(own);
    let leads = match ip.version {
        Version::V4 => {
            let is_whole = get16(frame, ip.at + V4_FRAGMENT)? & 0x3fff == 0;
            let fits = own == transport && own >= ip.at + ipv4::HEADER_LEN && is_whole;
            fits.then_some(*frame.get(ip.at + V4_PROTOCOL)?)
        }
        Version::V6 if transport <= own + EXTENSIONS => leads_to(frame, ip.at, transport),
        Version::V6 => None,
    };
    (is_of(vnet, ip.version) && leads == Some(number(vnet))).then_some((ip, transport, end))
}

/// Those of segments in a tunnel: the outer ones, the inner IP header, the place of the transport's.
pub(super) fn nested(vnet: VnetHeader, frame: &[u8]) -> Option<(Outer, Header, usize)> {
    let outer = outer(frame)?;
    let transport = usize::from(vnet.csum_start);
    let room = transport.checked_sub(outer.udp + udp::HEADER_LEN)?;
    // Sums are of pairs of bytes: of one that began in the middle of a pair none could be told.
    if room % 2 != 0 {
        return None;
    }
    let place = (frame, transport, room);
    let v4 = || inner_v4(place, number(vnet)).filter(|_| is_of(vnet, Version::V4));
    let v6 = || inner_v6(place, number(vnet)).filter(|_| is_of(vnet, Version::V6));
    Some((outer, v4().or_else(v6)?, transport))
}

/// The protocol of the segments.
fn number(vnet: VnetHeader) -> u8 {
    if vnet.gso() == GsoType::UdpL4 { protocol::UDP } else { protocol::TCP }
}

/// Whether segments can be those of a packet of this version.
fn is_of(vnet: VnetHeader, version: Version) -> bool {
    match vnet.gso() {
        GsoType::TcpV4 => version == Version::V4,
        GsoType::TcpV6 => version == Version::V6,
        _ => true,
    }
}

/// The IP header behind so many tags at most.
fn network(frame: &[u8], tags: usize) -> Option<Header> {
    let mut at = ethernet::HEADER_LEN;
    let mut kind = get16(frame, at - 2)?;
    let mut left = tags;
    while left > 0 && (kind == ethertype::VLAN || kind == ethertype::QINQ) {
        at += TAG;
        kind = get16(frame, at - 2)?;
        left -= 1;
    }
    match (kind, frame.get(at)? >> 4) {
        (ethertype::IPV4, 4) => Some(Header { at, version: Version::V4 }),
        (ethertype::IPV6, 6) => Some(Header { at, version: Version::V6 }),
        _ => None,
    }
}

fn end_of(frame: &[u8], ip: Header) -> Option<usize> {
    let (field, before) = match ip.version {
        Version::V4 => (V4_LENGTH, 0),
        Version::V6 => (V6_LENGTH, V6_HEADER),
    };
    let all = frame.len() - ip.at;
    let length = match usize::from(get16(frame, ip.at + field)?) {
        // BIG TCP: longer than the field can say, and as long as its bytes.
        0 if all > before + usize::from(u16::MAX) => all,
        length => before + length,
    };
    (length <= all).then_some(ip.at + length)
}

/// The outer headers of a frame that is as long as they say.
fn outer(frame: &[u8]) -> Option<Outer> {
    let ip = network(frame, OUTER_TAGS)?;
    let packet = frame.len() - ip.at;
    let udp = match ip.version {
        Version::V4 => {
            let is_udp = *frame.get(ip.at + V4_PROTOCOL)? == protocol::UDP;
            let whole = get16(frame, ip.at + V4_FRAGMENT)? & 0x3fff == 0;
            let fits = usize::from(get16(frame, ip.at + V4_LENGTH)?) == packet;
            let header = usize::from(*frame.get(ip.at)? & 0xf) * 4;
            (is_udp && whole && fits && header >= ipv4::HEADER_LEN).then_some(ip.at + header)?
        }
        Version::V6 => {
            let is_udp = *frame.get(ip.at + V6_NEXT)? == protocol::UDP;
            let fits = usize::from(get16(frame, ip.at + V6_LENGTH)?) + V6_HEADER == packet;
            (is_udp && fits).then_some(ip.at + V6_HEADER)?
        }
    };
    let fits = usize::from(get16(frame, udp + UDP_LENGTH)?) + udp == frame.len();
    fits.then_some(Outer { ip, udp })
}

/// The IPv4 header that ends where the transport header begins.
fn inner_v4((frame, transport, room): (&[u8], usize, usize), number: u8) -> Option<Header> {
    let lengths = (ipv4::HEADER_LEN..=ipv4::MAX_HEADER_LEN.min(room)).step_by(4);
    let found = lengths.map(|length| (transport - length, length)).find(|(at, length)| {
        let words = u8::try_from(length / 4).unwrap_or(0);
        frame.get(*at) == Some(&(0x40 | words))
            && frame.get(at + V4_PROTOCOL) == Some(&number)
            && get16(frame, at + V4_LENGTH).map(usize::from) == Some(frame.len() - at)
    });
    found.map(|(at, _)| Header { at, version: Version::V4 })
}

/// The IPv6 header that ends there, with extension headers behind it or without.
fn inner_v6((frame, transport, room): (&[u8], usize, usize), number: u8) -> Option<Header> {
    let lengths = (V6_HEADER..=(V6_HEADER + EXTENSIONS).min(room)).step_by(8);
    let found = lengths.map(|length| transport - length).find(|at| {
        frame.get(*at).is_some_and(|first| first >> 4 == 6)
            && get16(frame, at + V6_LENGTH).map(|n| usize::from(n) + V6_HEADER)
                == Some(frame.len() - at)
            && leads_to(frame, *at, transport) == Some(number)
    });
    found.map(|at| Header { at, version: Version::V6 })
}

/// The protocol of the header at `end`, where the extension headers of an IPv6 packet end there.
fn leads_to(frame: &[u8], at: usize, end: usize) -> Option<u8> {
    let (mut number, mut header) = (*frame.get(at + V6_NEXT)?, at + V6_HEADER);
    while header < end {
        let [next, length] = *frame.get(header..header + 2)?.first_chunk()?;
        (number, header) = (next, header + (usize::from(length) + 1) * 8);
    }
    (header == end).then_some(number)
}
