//! Echo requests built, answers read (RFC 792). Bytes from outside never panic.

use std::net::Ipv4Addr;

use pnet::packet::icmp::echo_request::MutableEchoRequestPacket;
use pnet::packet::icmp::{IcmpCode, IcmpTypes};
use wire::icmp::{self, Icmp};
use wire::ipv4::{Ipv4, protocol};

/// Bytes of the ICMP echo header.
pub const HEADER: usize = icmp::HEADER_LEN;
/// Bytes at the head of the payload that tell this pinger's probes from all others.
pub const NONCE: usize = 8;
/// Bytes of payload that ping needs to time a probe: what is shorter has no time in its lines.
pub const TIMED: usize = 16;

/// "Source quench": a request to send less, long out of use (RFC 6633).
pub(crate) const SOURCE_QUENCH: u8 = 4;

/// A message that concerns one of our probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// An echo reply.
    Reply {
        /// Its identifier.
        ident: u16,
        /// Its sequence number.
        seq: u16,
        /// What came after the header.
        payload: &'a [u8],
        /// The ICMP checksum is right.
        sound: bool,
    },
    /// An ICMP error about an echo request, or a redirect.
    Error(Complaint),
}

/// What an ICMP error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// Identifier of the request it is about.
    pub ident: u16,
    /// Sequence number of the request it is about.
    pub seq: u16,
    /// Where that request was going.
    pub towards: Ipv4Addr,
    /// Next-hop MTU of "fragmentation needed" (RFC 1191), pointer of "parameter problem", gateway
    /// of a redirect; else 0.
    pub info: u32,
}

/// An echo request with this payload, to be numbered by [`number`].
#[must_use]
pub fn request(ident: u16, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes.extend_from_slice(payload);
    if let Some(mut echo) = MutableEchoRequestPacket::new(&mut bytes) {
        echo.set_icmp_type(IcmpTypes::EchoRequest);
        echo.set_icmp_code(IcmpCode::new(0));
        echo.set_identifier(ident);
    }
    number(&mut bytes, seq);
    bytes
}

/// Gives an echo request another sequence number, and the checksum that belongs to it.
pub fn number(request: &mut [u8], seq: u16) {
    if let Some(mut echo) = MutableEchoRequestPacket::new(request) {
        echo.set_sequence_number(seq);
    }
    icmp::fill_checksum(request);
}

/// The payload of `size` bytes: the nonce, as much of it as fits, then the pattern repeated; an
/// empty pattern counts up, as ping's does.
#[must_use]
pub fn payload(nonce: [u8; NONCE], size: usize, pattern: &[u8]) -> Vec<u8> {
    let counted = |at: usize| u8::try_from(at & 0xff).unwrap_or(0);
    let filler = |at: usize| match pattern.len() {
        0 => counted(at),
        length => pattern[at % length],
    };
    let mut bytes: Vec<u8> = (0..size).map(filler).collect();
    let n = size.min(NONCE);
    bytes[..n].copy_from_slice(&nonce[..n]);
    bytes
}

/// Reads an ICMP message (without the IP header); None for what concerns no echo request.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    let message = Icmp::parse(bytes)?;
    if message.message_type() == icmp::ECHO_REPLY {
        return Some(Message::Reply {
            ident: message.id(),
            seq: message.sequence(),
            payload: &bytes[HEADER..],
            sound: message.checksum_ok(),
        });
    }
    let kind = message.message_type();
    let errors = [
        icmp::UNREACHABLE,
        SOURCE_QUENCH,
        icmp::REDIRECT,
        icmp::TIME_EXCEEDED,
        icmp::PARAMETER_PROBLEM,
    ];
    if !errors.contains(&kind) || !message.checksum_ok() {
        return None;
    }
    let quoted = Ipv4::parse_quoted(message.body()).ok()?;
    let start = HEADER + quoted.header_len();
    let echo = Icmp::parse(bytes.get(start..)?)?;
    if quoted.protocol() != protocol::ICMP || echo.message_type() != icmp::ECHO_REQUEST {
        return None;
    }
    let rest = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let info = match (kind, message.code()) {
        (icmp::UNREACHABLE, icmp::unreachable::FRAGMENTATION_NEEDED) => rest & 0xffff,
        (icmp::PARAMETER_PROBLEM, _) => rest >> 24,
        (icmp::REDIRECT, _) => rest,
        _ => 0,
    };
    Some(Message::Error(Complaint {
        kind,
        code: message.code(),
        ident: echo.id(),
        seq: echo.sequence(),
        towards: quoted.dst(),
        info,
    }))
}

/// Splits a raw socket's packet into (source, TTL, ICMP message).
#[must_use]
pub fn from_ip(bytes: &[u8]) -> Option<(Ipv4Addr, u8, &[u8])> {
    let ip = Ipv4::parse_quoted(bytes).ok()?;
    Some((ip.src(), ip.ttl(), bytes.get(ip.header_len()..)?))
}

#[cfg(test)]
mod tests {
    use super::{Message, number, parse, payload, request};

    #[test]
    fn a_request_answered_is_a_reply_with_the_same_payload() {
        for size in [0, 1, 7, 8, 56, 1472] {
            let sent = payload(*b"nonce!!!", size, &[]);
            let mut bytes = request(7, 3, &sent);
            bytes[0] = 0;
            // The checksum grows by the type that became zero (8 in the high byte).
            let sum = u32::from(u16::from_be_bytes([bytes[2], bytes[3]])) + 0x0800;
            let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
            bytes[2..4].copy_from_slice(&folded.to_be_bytes());
            let Some(Message::Reply { ident, seq, payload: got, sound }) = parse(&bytes) else {
                panic!("not a reply at size {size}");
            };
            assert_eq!((ident, seq, sound), (7, 3, true), "size {size}");
            assert_eq!(got, sent);
        }
    }

    #[test]
    fn a_pattern_repeats_after_the_nonce() {
        assert_eq!(payload([0xee; 8], 13, &[1, 2, 3])[8..], [3, 1, 2, 3, 1]);
        assert_eq!(payload([0xee; 8], 3, &[1]), [0xee; 3]);
    }

    #[test]
    fn a_new_number_brings_its_checksum() {
        let mut bytes = request(7, 1, &[1, 2, 3]);
        number(&mut bytes, 0xffff);
        assert_eq!(bytes, request(7, 0xffff, &[1, 2, 3]));
    }

    #[test]
    fn foreign_and_short_messages_are_nothing() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&[0; 7]), None);
        assert_eq!(parse(&request(1, 1, &[0; 8])), None, "a request is no answer");
        assert_eq!(parse(&[3, 1, 0xfc, 0xfe, 0, 0, 0, 0]), None, "an error about nothing");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(0u8.., 0..200)) {
            let _ = parse(&bytes);
            let _ = super::from_ip(&bytes);
        }
    }
}
