//! Whatever comes back to the pinger: parsing does not panic, and no reply is counted that no
//! probe can have caused.

#![no_main]

use std::net::Ipv4Addr;

use icmp::session::Action;
use icmp::{Options, packet, session::Session};
use libfuzzer_sys::fuzz_target;
use wire::Timestamp;

const NONCE: [u8; packet::NONCE] = *b"nonce!!!";
const TOWARDS: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 20);

fuzz_target!(|input: (bool, u8, Vec<(u8, u8, Vec<u8>)>)| {
    let (flood, size, steps) = input;
    let options = Options { size: usize::from(size), flood, count: Some(8), ..Options::default() };
    let mut session = Session::new(options, TOWARDS, Some(7), NONCE);
    let mut now = Timestamp::from_nanos(1);
    let mut sent = 0u64;
    for (kind, at, bytes) in steps {
        now = Timestamp::from_nanos(now.as_nanos() + u64::from(at) * 20_000_000);
        let mut reply = packet::request(7, u16::from(at % 12), NONCE, usize::from(size));
        match kind {
            0..64 => {
                if let Action::Send(_) = session.due(now) {
                    session.sent(now);
                    sent += 1;
                }
                continue;
            }
            // An honest answer, damaged in one byte or not.
            64..128 => {
                reply[0] = 0;
                wire::icmp::fill_checksum(&mut reply);
                if let Some([where_, what]) = bytes.get(..2) {
                    let length = reply.len();
                    reply[usize::from(*where_) % length] ^= what;
                }
            }
            // An error that quotes a probe.
            128..192 => {
                let mut error =
                    vec![[3, 11, 4, 5, 12][usize::from(kind % 5)], at, 0, 0, 0, 0, 0, 0];
                error.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 100, 0, 10]);
                error.extend(TOWARDS.octets());
                error.extend(&reply[..usize::from(kind % 9).min(reply.len())]);
                wire::icmp::fill_checksum(&mut error);
                reply = error;
            }
            // Anything.
            _ => reply = bytes,
        }
        let inner = packet::from_ip(&reply).map_or(&reply[..], |(_, _, inner)| inner);
        for message in [packet::parse(&reply), packet::parse(inner)].into_iter().flatten() {
            session.received(&message, TOWARDS, Some(64), now);
        }
        assert!(session.stats().received <= sent, "more answers than probes");
        let _ = session.due(now);
    }
});
