//! Which packets come often: those alone are worth being repeated by others ([`crate::repeat`]).
//!
//! What is written down for a few packets costs more than it saves; but a connection that is taken up
//! is expected to go on. A table of counts, in which who comes later takes the place: nothing is kept of anybody, nothing grows, and
//! a kind of packets that lost its place only comes here a few times more.

use std::time::Duration;

use wire::Timestamp;

use crate::hash::Key;
use crate::packet::{Endpoint, Protocol};

/// Packets of one kind that come here before others may repeat them.
const ENOUGH: u8 = 8;
/// Places for kinds, in pairs.
const PAIRS: usize = 4096;

/// A kind of packets: half of its hash, and how often it has come.
type Place = (u32, u8);

/// Servers there is room for.
const SERVERS: usize = 1024;
/// How long a server that has answered is thought to go on answering.
const ANSWERING: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Often {
    key: Key,
    pairs: Box<[[Place; 2]]>,
    /// Half of a server's hash, and until when it is thought to answer.
    servers: Box<[(u32, Timestamp)]>,
}

impl Often {
    pub(crate) fn new(seed: u64) -> Self {
        let servers = vec![(0, Timestamp::ZERO); SERVERS].into();
        Self { key: Key::new(seed, 90), pairs: vec![[(0, 0); 2]; PAIRS].into(), servers }
    }

    /// Another packet comes; whether that is enough.
    #[inline]
    pub(crate) fn again(&mut self, protocol: Protocol, src: Endpoint, dst: Endpoint) -> bool {
        self.count(protocol, src, dst, 1) > ENOUGH
    }

    /// More packets are expected: the next one is enough.
    pub(crate) fn expect(&mut self, protocol: Protocol, src: Endpoint, dst: Endpoint) {
        self.count(protocol, src, dst, ENOUGH);
    }

    /// A server of TCP has answered.
    pub(crate) fn answers(&mut self, server: Endpoint, now: Timestamp) {
        let (at, whose) = self.server(server);
        self.servers[at] = (whose, now + ANSWERING);
    }

    /// Whether it did so a short time ago: then the next one that asks is answered, too.
    pub(crate) fn is_answering(&self, server: Endpoint, now: Timestamp) -> bool {
        let (at, whose) = self.server(server);
        self.servers[at].0 == whose && self.servers[at].1 > now
    }

    /// A server's place, and half of its hash.
    fn server(&self, server: Endpoint) -> (usize, u32) {
        let word = u64::from(server.address.to_bits()) << 16 | u64::from(server.port);
        let hash = self.key.mix(word, 0);
        let at = usize::try_from(hash & (SERVERS as u64 - 1)).unwrap_or(0);
        (at, u32::try_from(hash >> 32).unwrap_or(0))
    }

    /// How often packets have come, so many more now.
    #[inline]
    fn count(&mut self, protocol: Protocol, src: Endpoint, dst: Endpoint, more: u8) -> u8 {
        let word = |end: Endpoint| u64::from(end.address.to_bits()) << 16 | u64::from(end.port);
        let hash = self.key.mix(word(src) << 8 | u64::from(protocol.number()), word(dst));
        let (whose, at) = (hash >> 32, hash & (PAIRS as u64 - 1));
        let (Ok(whose), Ok(at)) = (u32::try_from(whose), usize::try_from(at)) else { return 0 };
        let Some(pair) = self.pairs.get_mut(at) else { return 0 };
        if let Some((_, count)) = pair.iter_mut().find(|(known, _)| *known == whose) {
            *count = count.saturating_add(more);
            return *count;
        }
        // The rarer one gives way; the other does, in time, if it is never seen again.
        pair.sort_unstable_by_key(|(_, count)| *count);
        pair[0] = (whose, more);
        pair[1].1 /= 2;
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn end(port: u16) -> Endpoint {
        Endpoint::new(Ipv4Addr::new(10, 0, 0, 1), port)
    }

    #[test]
    fn a_few_packets_are_not_enough_and_more_are_however_many_others_come_between() {
        let mut often = Often::new(7);
        for n in 0..1000 {
            let enough = often.again(Protocol::Tcp, end(1), end(2));
            assert_eq!(enough, n >= u32::from(ENOUGH), "{n}");
            assert!(!often.again(Protocol::Udp, end(1), end(2)) || n >= u32::from(ENOUGH));
        }
        // What is expected to come often is believed.
        often.expect(Protocol::Tcp, end(3), end(4));
        assert!(often.again(Protocol::Tcp, end(3), end(4)));
        // A few packets of many kinds, one after the other: none of them.
        for port in 100..60_000 {
            for _ in 0..ENOUGH {
                assert!(!often.again(Protocol::Tcp, end(port), end(80)));
            }
        }
        // Many at the same time, in turn: most of them, though some share places.
        let mut enough = vec![0; 1000];
        for _ in 0..100 {
            for (n, port) in (1000..2000).enumerate() {
                enough[n] += u32::from(often.again(Protocol::Tcp, end(port), end(443)));
            }
        }
        let most = enough.iter().filter(|n| **n > 0).count();
        assert!(most > 980, "{most} of 1000");
    }
}
