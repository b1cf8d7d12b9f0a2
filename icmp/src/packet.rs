//! Echo requests built, answers read (RFC 792). Bytes from outside never panic.

use std::net::Ipv4Addr;

use pnet::packet::Packet;
use pnet::packet::icmp::echo_request::MutableEchoRequestPacket;
use pnet::packet::icmp::{IcmpCode, IcmpPacket, IcmpTypes, checksum};
use pnet::packet::ipv4::Ipv4Packet;

/// Bytes of the ICMP echo header.
pub const HEADER: usize = 8;
/// Bytes at the head of the payload that tell this pinger's probes from all others.
pub const NONCE: usize = 8;

/// A message that concerns one of our probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// An echo reply.
    Reply {
        /// Its identifier.
        ident: u16,
        /// Its sequence number.
        seq: u16,
        /// What came after the header.
        payload: Vec<u8>,
        /// The ICMP checksum is right.
        sound: bool,
    },
    /// An ICMP error about an echo request.
    Error {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
        /// Identifier of the request it is about.
        ident: u16,
        /// Sequence number of the request it is about.
        seq: u16,
        /// Where that request was going.
        towards: Ipv4Addr,
        /// Next-hop MTU of "fragmentation needed" (RFC 1191), else 0.
        mtu: u16,
    },
}

/// Builds an echo request; the payload counts up after the nonce, as ping's does.
#[must_use]
pub fn request(ident: u16, seq: u16, nonce: [u8; NONCE], size: usize) -> Vec<u8> {
    let mut bytes = vec![0; HEADER + size];
    bytes[HEADER..].copy_from_slice(&payload(nonce, size));
    if let Some(mut echo) = MutableEchoRequestPacket::new(&mut bytes) {
        echo.set_icmp_type(IcmpTypes::EchoRequest);
        echo.set_icmp_code(IcmpCode::new(0));
        echo.set_identifier(ident);
        echo.set_sequence_number(seq);
    }
    let sum = IcmpPacket::new(&bytes).map_or(0, |icmp| checksum(&icmp));
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The payload of `size` bytes: the nonce, as much of it as fits, then its own offsets.
#[must_use]
pub fn payload(nonce: [u8; NONCE], size: usize) -> Vec<u8> {
    let counted = (0..size).map(|i| u8::try_from(i & 0xff).unwrap_or(0));
    let mut bytes: Vec<u8> = counted.collect();
    let n = size.min(NONCE);
    bytes[..n].copy_from_slice(&nonce[..n]);
    bytes
}

/// Reads an ICMP message (without the IP header); None for what concerns no echo request.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Message> {
    let icmp = IcmpPacket::new(bytes)?;
    if bytes.len() < HEADER {
        return None;
    }
    let sound = checksum(&icmp) == icmp.get_checksum();
    let kind = icmp.get_icmp_type();
    if kind == IcmpTypes::EchoReply {
        return Some(Message::Reply {
            ident: u16::from_be_bytes([bytes[4], bytes[5]]),
            seq: u16::from_be_bytes([bytes[6], bytes[7]]),
            payload: bytes[HEADER..].to_vec(),
            sound,
        });
    }
    let errors = [
        IcmpTypes::DestinationUnreachable,
        IcmpTypes::SourceQuench,
        IcmpTypes::RedirectMessage,
        IcmpTypes::TimeExceeded,
        IcmpTypes::ParameterProblem,
    ];
    if !errors.contains(&kind) || !sound {
        return None;
    }
    let inner = Ipv4Packet::new(&bytes[HEADER..])?;
    let start = HEADER + usize::from(inner.get_header_length()) * 4;
    let echo = bytes.get(start..start + HEADER)?;
    if inner.get_next_level_protocol().0 != 1 || echo[0] != IcmpTypes::EchoRequest.0 {
        return None;
    }
    Some(Message::Error {
        kind: kind.0,
        code: icmp.get_icmp_code().0,
        ident: u16::from_be_bytes([echo[4], echo[5]]),
        seq: u16::from_be_bytes([echo[6], echo[7]]),
        towards: inner.get_destination(),
        mtu: u16::from_be_bytes([bytes[6], bytes[7]]),
    })
}

/// Splits a raw socket's packet into (source, TTL, ICMP message).
#[must_use]
pub fn from_ip(bytes: &[u8]) -> Option<(Ipv4Addr, u8, &[u8])> {
    let ip = Ipv4Packet::new(bytes)?;
    let header = usize::from(ip.get_header_length()) * 4;
    if header < 20 || ip.packet().len() < header {
        return None;
    }
    Some((ip.get_source(), ip.get_ttl(), bytes.get(header..)?))
}

#[cfg(test)]
mod tests {
    use super::{Message, parse, payload, request};

    #[test]
    fn a_request_answered_is_a_reply_with_the_same_payload() {
        for size in [0, 1, 7, 8, 56, 1472] {
            let mut bytes = request(7, 3, *b"nonce!!!", size);
            bytes[0] = 0;
            // The checksum grows by the type that became zero (8 in the high byte).
            let sum = u32::from(u16::from_be_bytes([bytes[2], bytes[3]])) + 0x0800;
            let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
            bytes[2..4].copy_from_slice(&folded.to_be_bytes());
            let Some(Message::Reply { ident, seq, payload: got, sound }) = parse(&bytes) else {
                panic!("not a reply at size {size}");
            };
            assert_eq!((ident, seq, sound), (7, 3, true), "size {size}");
            assert_eq!(got, payload(*b"nonce!!!", size));
        }
    }

    #[test]
    fn foreign_and_short_messages_are_nothing() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&[0; 7]), None);
        assert_eq!(parse(&request(1, 1, [0; 8], 8)), None, "a request is no answer");
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
