//! How many ICMP errors may leave (RFC 1812 4.3.2.8): a bucket for each node, or for all of the
//! outside, and one for each receiver there.
//!
//! A node has its own buckets, by its number, from the first error it provokes on: what one of them
//! provokes, by whichever addresses, leaves the others their errors. Receivers at one node share
//! [`AT_NODE`] buckets by hash, those outside [`OUTSIDE`]. The burst of one is enough for a traceroute
//! with three probes a hop; the figures for all are those of Linux (`icmp_msgs_per_sec`). What does not
//! fit is counted and not sent. [`Queries`] bounds in the same way what a node may ask for names.

use std::net::IpAddr;

use wire::Timestamp;

use crate::hash::Key;
use crate::node::Node;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Tokens, in billionths, so that a nanosecond at `rate` a second adds `rate`.
    tokens: u64,
    filled: Timestamp,
}

const WHOLE: u64 = 1_000_000_000;

impl Bucket {
    const fn full(burst: u64) -> Self {
        Self { tokens: burst * WHOLE, filled: Timestamp::ZERO }
    }

    fn fill(&mut self, rate: u64, burst: u64, now: Timestamp) {
        let passed = u64::try_from(now.since(self.filled).as_nanos()).unwrap_or(u64::MAX);
        self.filled = now;
        self.tokens = self.tokens.saturating_add(passed.saturating_mul(rate)).min(burst * WHOLE);
    }
}

const ALL_RATE: u64 = 1000;
const ALL_BURST: u64 = 100;
const ONE_RATE: u64 = 20;
const ONE_BURST: u64 = 40;
/// Buckets of the receivers at one node, which has few addresses.
const AT_NODE: usize = 16;
/// Buckets of the receivers outside.
const OUTSIDE: usize = 256;

/// What one node may be sent, or all of the outside.
#[derive(Clone, Debug)]
struct Share {
    all: Bucket,
    /// Of its receivers, by hash.
    one: Box<[Bucket]>,
}

/// Decides whether one more error may leave.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// By the node's number; as many as the ports of the switch at most.
    shares: Vec<Option<Share>>,
    key: Key,
}

impl Limiter {
    pub(crate) fn new(seed: u64) -> Self {
        Self { shares: Vec::new(), key: Key::new(seed, 50) }
    }

    /// True, and counted, where an error may go to `receiver` at `node`.
    pub(crate) fn allow(
        &mut self,
        node: Node,
        receiver: impl Into<IpAddr>,
        now: Timestamp,
    ) -> bool {
        let share = grown(&mut self.shares, node, None).get_or_insert_with(|| {
            let buckets = if node == Node::NOBODY { OUTSIDE } else { AT_NODE };
            let one = vec![Bucket::full(ONE_BURST); buckets].into_boxed_slice();
            Share { all: Bucket::full(ALL_BURST), one }
        });
        let mixed = match receiver.into() {
            IpAddr::V4(own) => self.key.mix(u64::from(u32::from(own)), 0),
            IpAddr::V6(own) => {
                let [high, low] = halves(own.to_bits());
                self.key.mix(high, low)
            }
        };
        let bucket = (mixed >> 56) as usize;
        let (one, all) = (&mut share.one[bucket % share.one.len()], &mut share.all);
        one.fill(ONE_RATE, ONE_BURST, now);
        all.fill(ALL_RATE, ALL_BURST, now);
        if one.tokens < WHOLE || all.tokens < WHOLE {
            return false;
        }
        one.tokens -= WHOLE;
        all.tokens -= WHOLE;
        true
    }
}

/// The upper and the lower 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "the upper half is taken apart")]
const fn halves(bits: u128) -> [u64; 2] {
    [(bits >> 64) as u64, bits as u64]
}

/// A query costs some microseconds: with this many a node takes a few hundredths of a core, and more
/// than any program has use for.
const QUERY_RATE: u64 = 10_000;
const QUERY_BURST: u64 = 2000;

/// How many packets each node may send to the resolver of names: buckets by the node's number.
#[derive(Debug)]
pub(crate) struct Queries(Vec<Bucket>);

impl Queries {
    const FULL: Bucket = Bucket::full(QUERY_BURST);

    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether one more of this node may pass.
    pub(crate) fn has_room(&self, node: Node, now: Timestamp) -> bool {
        let mut bucket = self.0.get(node.index()).copied().unwrap_or(Self::FULL);
        bucket.fill(QUERY_RATE, QUERY_BURST, now);
        bucket.tokens >= WHOLE
    }

    /// One has passed.
    pub(crate) fn take(&mut self, node: Node, now: Timestamp) {
        let bucket = grown(&mut self.0, node, Self::FULL);
        bucket.fill(QUERY_RATE, QUERY_BURST, now);
        bucket.tokens = bucket.tokens.saturating_sub(WHOLE);
    }
}

/// A node's own place among those by number.
fn grown<T: Clone>(places: &mut Vec<T>, node: Node, empty: T) -> &mut T {
    if places.len() <= node.index() {
        places.resize(node.index() + 1, empty);
    }
    &mut places[node.index()]
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_receiver_gets_its_burst_and_then_its_rate() {
        let mut limiter = Limiter::new(1);
        let host = Ipv4Addr::new(10, 0, 0, 1);
        let mut at = |seconds: u64| {
            let now = Timestamp::ZERO + Duration::from_secs(seconds);
            (0..1000).filter(|_| limiter.allow(Node::NOBODY, host, now)).count()
        };
        assert_eq!((at(10), at(11), at(12)), (40, 20, 20));
    }

    #[test]
    fn all_receivers_together_get_no_more_than_the_whole() {
        let mut limiter = Limiter::new(1);
        let mut at = |millis: u64| {
            let now = Timestamp::ZERO + Duration::from_millis(millis);
            (0..10_000u32)
                .filter(|n| limiter.allow(Node::NOBODY, Ipv4Addr::from(n * 977), now))
                .count()
        };
        assert_eq!((at(0), at(10), at(60), at(10_000)), (100, 10, 50, 100));
    }

    #[test]
    fn a_node_has_its_share_of_queries_whatever_others_ask() {
        let mut queries = Queries::new();
        let mut at = |node: u16, millis: u64| {
            let (node, now) = (Node(node), Timestamp::ZERO + Duration::from_millis(millis));
            let mut passed = 0;
            while queries.has_room(node, now) {
                queries.take(node, now);
                passed += 1;
            }
            passed
        };
        assert_eq!((at(1, 10), at(1, 11), at(2, 11), at(1, 12)), (2000, 10, 2000, 10));
        // A lab has more nodes than a byte has numbers.
        assert!((3..=4095).all(|node| at(node, 12) == 2000));
    }

    #[test]
    fn every_node_has_its_errors_whatever_the_others_provoke() {
        let mut limiter = Limiter::new(1);
        let now = Timestamp::ZERO + Duration::from_secs(1);
        for node in 1..=4095u16 {
            let [high, low] = node.to_be_bytes();
            let host = Ipv4Addr::new(10, 0, high, low);
            let sent = (0..200).filter(|_| limiter.allow(Node(node), host, now)).count();
            assert_eq!(sent, 40, "node {node}");
        }
        // One that provokes them by many addresses has what is for all of them.
        let mut many = |n: u32| limiter.allow(Node(1), Ipv4Addr::from(n * 977), now);
        assert_eq!((0..10_000).filter(|n| many(*n)).count(), 60);
    }
}
