//! Whatever comes back to the pinger: parsing does not panic, nor does the telling of it, and no
//! reply is counted that no probe can have caused.

#![no_main]

use std::net::Ipv4Addr;

use icmp::session::Action;
use icmp::{Options, packet, session::Session, text};
use libfuzzer_sys::fuzz_target;
use wire::Timestamp;

const NONCE: [u8; packet::NONCE] = *b"nonce!!!";
const TOWARDS: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 20);

fuzz_target!(|input: (bool, bool, u8, Vec<u8>, Vec<(u8, u8, Vec<u8>)>)| {
    let (flood, adaptive, size, pattern, steps) = input;
    let mut options = Options { size: usize::from(size), flood, adaptive, ..Options::default() };
    options.count = Some(8);
    options.pattern = pattern;
    options.outstanding = true;
    if flood {
        options.interval = std::time::Duration::ZERO;
    }
    let payload = packet::payload(NONCE, options.size, &options.pattern);
    let mut session = Session::new(options.clone(), TOWARDS, Some(7), payload.clone());
    let mut now = Timestamp::from_nanos(1);
    let mut sent = 0u64;
    for (kind, at, bytes) in steps {
        now = Timestamp::from_nanos(now.as_nanos() + u64::from(at) * 20_000_000);
        let mut reply = packet::request(7, u16::from(at % 12), &payload);
        match kind {
            0..64 => {
                if let Action::Send(_) = session.due(now) {
                    let _ = session.silent();
                    session.sent(now);
                    sent += 1;
                }
                continue;
            }
            // An honest answer, damaged in one byte or not, cut short or not.
            64..128 => {
                reply[0] = 0;
                reply.truncate(reply.len() - usize::from(kind % 4).min(reply.len() - 8));
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
            192..224 => {
                session.stamped(u64::from(at % 12), now);
                continue;
            }
            // Anything.
            _ => reply = bytes,
        }
        let inner = packet::from_ip(&reply).map_or(&reply[..], |(_, _, inner)| inner);
        for message in [packet::parse(&reply), packet::parse(inner)].into_iter().flatten() {
            if let Some(event) = session.received(&message, TOWARDS, Some(at), now) {
                let _ = text::event(&event, &options);
            }
        }
        assert!(session.stats().received <= sent, "more answers than probes");
        let _ = session.due(now);
    }
    session.end(now);
    let _ = text::closing("fuzz", session.stats(), &options);
    let _ = text::beyond(session.stats(), &options);
    let _ = (text::status(session.stats(), &options), text::outage(session.stats()));
});
