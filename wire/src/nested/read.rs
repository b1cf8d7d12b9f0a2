//! Where the headers of such a frame are: the outer ones from the front, the inner IP header back from the
//! transport header, whose place is told.

use super::{UDP_LENGTH, V4_FRAGMENT, V4_LENGTH, V4_PROTOCOL, V6_HEADER, V6_LENGTH, V6_NEXT};
use super::{Version, get16};
use crate::ethernet;
use crate::ethertype;
use crate::ipv4::{self, protocol};

/// Bytes of the extension headers of an inner IPv6 packet that are looked through, at most.
const EXTENSIONS: usize = 64;
const TAG: usize = 4;

/// The outer IP header and where UDP's begins, of a frame with one tag in its bytes at most.
pub(super) fn outer(frame: &[u8]) -> Option<((usize, Version), usize)> {
    let mut at = ethernet::HEADER_LEN;
    let mut kind = get16(frame, at - 2)?;
    if kind == ethertype::VLAN || kind == ethertype::QINQ {
        at += TAG;
        kind = get16(frame, at - 2)?;
    }
    let first = *frame.get(at)?;
    let packet = frame.len() - at;
    let (version, udp) = match (kind, first >> 4) {
        (ethertype::IPV4, 4) => {
            let is_udp = *frame.get(at + V4_PROTOCOL)? == protocol::UDP;
            let whole = get16(frame, at + V4_FRAGMENT)? & 0x3fff == 0;
            let fits = usize::from(get16(frame, at + V4_LENGTH)?) == packet;
            let header = usize::from(first & 0xf) * 4;
            (is_udp && whole && fits && header >= ipv4::HEADER_LEN)
                .then_some((Version::V4, at + header))?
        }
        (ethertype::IPV6, 6) => {
            let is_udp = *frame.get(at + V6_NEXT)? == protocol::UDP;
            let fits = usize::from(get16(frame, at + V6_LENGTH)?) + V6_HEADER == packet;
            (is_udp && fits).then_some((Version::V6, at + V6_HEADER))?
        }
        _ => return None,
    };
    let fits = usize::from(get16(frame, udp + UDP_LENGTH)?) + udp == frame.len();
    fits.then_some(((at, version), udp))
}

/// The IPv4 header that ends where the transport header begins.
pub(super) fn inner_v4(
    frame: &[u8],
    transport: usize,
    room: usize,
    number: u8,
) -> Option<(usize, Version)> {
    let lengths = (ipv4::HEADER_LEN..=ipv4::MAX_HEADER_LEN.min(room)).step_by(4);
    let found = lengths.map(|length| (transport - length, length)).find(|(at, length)| {
        let words = u8::try_from(length / 4).unwrap_or(0);
        frame.get(*at) == Some(&(0x40 | words))
            && frame.get(at + V4_PROTOCOL) == Some(&number)
            && get16(frame, at + V4_LENGTH).map(usize::from) == Some(frame.len() - at)
    });
    found.map(|(at, _)| (at, Version::V4))
}

/// The IPv6 header that ends there, with extension headers behind it or without.
pub(super) fn inner_v6(
    frame: &[u8],
    transport: usize,
    room: usize,
    number: u8,
) -> Option<(usize, Version)> {
    let lengths = (V6_HEADER..=(V6_HEADER + EXTENSIONS).min(room)).step_by(8);
    let found = lengths.map(|length| transport - length).find(|at| {
        frame.get(*at).is_some_and(|first| first >> 4 == 6)
            && get16(frame, at + V6_LENGTH).map(|n| usize::from(n) + V6_HEADER)
                == Some(frame.len() - at)
            && leads_to(frame, *at, transport) == Some(number)
    });
    found.map(|at| (at, Version::V6))
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
