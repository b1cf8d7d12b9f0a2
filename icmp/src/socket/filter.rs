//! What the kernel lets through to a raw socket: answers with our identifier and nonce, and errors
//! that quote our identifier. A host where others ping, or are pinged, costs us nothing.
//!
//! The session checks all of it again: the filter keeps work away, it does not decide. So it lets
//! pass what a damaged answer of ours may look like: one half of the nonce is enough, and what is
//! too short for a nonce passes by its identifier.

use socket2::SockFilter;
use wire::icmp::{ECHO_REPLY, PARAMETER_PROBLEM, REDIRECT, TIME_EXCEEDED, UNREACHABLE};

use crate::packet::{HEADER, NONCE, SOURCE_QUENCH};

// The opcodes of linux/bpf_common.h that are used here.
const LOAD_BYTE: u16 = 0x50;
const LOAD_HALF: u16 = 0x48;
const LOAD_WORD: u16 = 0x40;
const LOAD_LENGTH: u16 = 0x80;
/// X = 4 * (byte & 15): the length of an IPv4 header.
const HEADER_LENGTH_TO_X: u16 = 0xb1;
const SUB_X: u16 = 0x1c;
const ADD_X: u16 = 0x0c;
const AND: u16 = 0x54;
const SHIFT_LEFT: u16 = 0x64;
const A_TO_X: u16 = 0x07;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
const PASS: u32 = u32::MAX;
const DROP: u32 = 0;

const ERRORS: [u8; 5] = [UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM];

fn op(code: u16, k: u32) -> SockFilter {
    SockFilter::new(code, 0, 0, k)
}

/// Jumps over so many of the steps that follow.
fn over(code: u16, k: u32, yes: usize, no: usize) -> SockFilter {
    let short = |steps| u8::try_from(steps).unwrap_or(u8::MAX);
    SockFilter::new(code, short(yes), short(no), k)
}

/// The program. A packet begins with its IP header; X points at its ICMP message.
pub(super) fn program(ident: u16, payload: &[u8]) -> Vec<SockFilter> {
    let reply = reply(ident, payload);
    let mut program = vec![
        op(HEADER_LENGTH_TO_X, 0),
        op(LOAD_BYTE, 0),
        over(IF_EQUAL, u32::from(ECHO_REPLY), 0, reply.len()),
    ];
    program.extend(reply);
    program.extend(error(ident));
    program
}

fn reply(ident: u16, payload: &[u8]) -> Vec<SockFilter> {
    let mut steps =
        vec![op(LOAD_HALF, 4), over(IF_EQUAL, u32::from(ident), 1, 0), op(RETURN, DROP)];
    if let Some(&[a, b, c, d, e, f, g, h]) = payload.get(..NONCE) {
        let whole = u32::try_from(HEADER + NONCE).unwrap_or(0);
        steps.extend([
            op(LOAD_LENGTH, 0),
            op(SUB_X, 0),
            over(IF_AT_LEAST, whole, 0, 5),
            op(LOAD_WORD, 8),
            over(IF_EQUAL, u32::from_be_bytes([a, b, c, d]), 3, 0),
            op(LOAD_WORD, 12),
            over(IF_EQUAL, u32::from_be_bytes([e, f, g, h]), 1, 0),
            op(RETURN, DROP),
        ]);
    }
    steps.push(op(RETURN, PASS));
    steps
}

/// The echo header an error quotes is behind the IP header it quotes.
fn error(ident: u16) -> Vec<SockFilter> {
    let types = ERRORS.iter().enumerate();
    let mut steps: Vec<SockFilter> = types
        .map(|(place, kind)| over(IF_EQUAL, u32::from(*kind), ERRORS.len() - place, 0))
        .collect();
    steps.extend([
        op(RETURN, DROP),
        op(LOAD_BYTE, 8),
        op(AND, 0xf),
        op(SHIFT_LEFT, 2),
        op(ADD_X, 0),
        op(A_TO_X, 0),
        op(LOAD_HALF, 8 + 4),
        over(IF_EQUAL, u32::from(ident), 1, 0),
        op(RETURN, DROP),
        op(RETURN, PASS),
    ]);
    steps
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use proptest::prelude::*;
    use socket2::{Domain, Socket, Type};

    use super::program;
    use crate::packet;

    const NONCE: [u8; 8] = *b"nonce!!!";

    /// Whether the kernel lets `packet` through to a socket with the filter.
    fn passes(payload: &[u8], packet: &[u8]) -> bool {
        let (mut from, mut to) = Socket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
        to.attach_filter(&program(7, payload)).unwrap();
        to.set_nonblocking(true).unwrap();
        assert_eq!(from.write(packet).unwrap(), packet.len());
        to.read(&mut [0; 4096]).is_ok()
    }

    /// An IP packet with `words` 32-bit words of options around an ICMP message.
    fn packet(words: usize, message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 20 + 4 * words];
        bytes[0] = 0x45 + u8::try_from(words).unwrap();
        bytes[9] = 1;
        bytes.extend_from_slice(message);
        bytes
    }

    fn echo(kind: u8, ident: u16, payload: &[u8]) -> Vec<u8> {
        let mut message = packet::request(ident, 1, payload);
        message[0] = kind;
        message
    }

    fn quoting(kind: u8, quoted: &[u8]) -> Vec<u8> {
        [&[kind, 0, 0, 0, 0, 0, 0, 0], quoted].concat()
    }

    #[test]
    fn ours_passes_and_anothers_does_not() {
        let ours = packet::payload(NONCE, 56, &[]);
        for words in [0, 3, 10] {
            assert!(passes(&ours, &packet(words, &echo(0, 7, &ours))));
            assert!(!passes(&ours, &packet(words, &echo(8, 7, &ours))), "a request");
            assert!(!passes(&ours, &packet(words, &echo(0, 8, &ours))), "another identifier");
            let other = packet::payload(*b"another!", 56, &[]);
            assert!(!passes(&ours, &packet(words, &echo(0, 7, &other))), "another nonce");
            for half in [b"nonc----", b"----e!!!"] {
                let damaged = packet::payload(*half, 56, &[]);
                assert!(passes(&ours, &packet(words, &echo(0, 7, &damaged))));
            }
            for cut in 0..8 {
                assert!(passes(&ours, &packet(words, &echo(0, 7, &ours[..cut]))), "cut to {cut}");
            }
            assert!(passes(&[], &packet(words, &echo(0, 7, &[]))), "no payload");
            assert!(!passes(&[], &packet(words, &echo(0, 9, &[]))));
        }
    }

    #[test]
    fn errors_pass_by_what_they_quote() {
        let ours = packet::payload(NONCE, 56, &[]);
        for (outer, inner) in [(0, 0), (2, 0), (0, 5), (10, 10)] {
            for kind in 0..=20 {
                let about =
                    |ident| packet(outer, &quoting(kind, &packet(inner, &echo(8, ident, &ours))));
                let told = [3, 4, 5, 11, 12].contains(&kind);
                assert_eq!(passes(&ours, &about(7)), told, "type {kind}");
                assert!(!passes(&ours, &about(9)), "type {kind} about another");
            }
            let short = packet(outer, &quoting(3, &[0x45, 0, 0, 28]));
            assert!(!passes(&ours, &short), "quotes too little");
        }
    }

    proptest! {
        // Whatever the session would take passes; what passes beyond that is its business.
        #[test]
        fn nothing_of_ours_is_kept_away(
            words in 0usize..=10,
            damage in prop::collection::vec((8usize..64, 1u8..), 0..4),
        ) {
            let ours = packet::payload(NONCE, 56, &[]);
            let mut reply = echo(0, 7, &ours);
            for (at, by) in damage {
                reply[at] ^= by;
            }
            let hurt = |half: std::ops::Range<usize>| reply[half.clone()] != ours[half.start - 8..half.end - 8];
            let both = hurt(8..12) && hurt(12..16);
            prop_assert_eq!(passes(&ours, &packet(words, &reply)), !both);
        }
    }
}
