//! What of the block is the NAT's at present, in memory that the program of `silence` looks into:
//! all else of the block is the host's, and goes on to its stack.
//!
//! Told by the gateway before a session's first packet leaves, written without a call into the
//! kernel. How much of a remote endpoint counts is the NAT's filter's to say: a key is our port and
//! as much of the remote end as must match. A key lies in one of two groups of eight, whichever had
//! more room; where both are full, which takes far more sessions than there may be, its whole port
//! is taken. What a remote sends by a protocol without ports has its key among those of UDP: the protocol
//! stands for the remote's port, and our port is 0, which none has.
//!
//! ```text
//!   two secret factors │ ports open to anybody: TCP, UDP │ ports that open TCP │ keys: TCP, UDP
//!   held ports: TCP, UDP │ protocols without ports
//! ```
//!
//! The held ports have memory of their own, for the fast path's filter asks it too. With them there is a bit
//! for what remotes send by protocols without ports: several of them may share one, which costs a
//! filter a frame of the host's that the gateway says nothing about.

use std::fmt::Debug;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gateway::{Endpoint, Filter, IpProtocol, NatType, Protocol};
use sys::bpf::Area;

#[cfg(test)]
mod tests;

/// Keys of a group: a cache line.
pub(super) const GROUP: usize = 8;
/// Groups of one protocol, as a power of two: twice the room that 65,536 sessions need.
pub(super) const GROUPS_LOG2: u32 = 14;
const GROUPS: usize = 1 << GROUPS_LOG2;
/// Words of a bit a port.
const BITS: usize = 65_536 / 64;
/// Ports that open a TCP connection from outside, whoever knocks: a mapping has them.
pub(super) const OPENING: usize = anybody(2);
const WORDS: usize = table(2);
/// Of the memory of held ports.
pub(super) const HELD_WORDS: usize = held(3);
/// Behind the held ports of TCP and UDP: what comes by protocols without ports.
pub(super) const REMOTES: usize = held(2);

/// Ports of a protocol that are the NAT's whoever sends.
pub(super) const fn anybody(protocol: usize) -> usize {
    GROUP + protocol * BITS
}

/// Ports of a protocol that somebody holds at the kernel and that are published, of the block or not: in
/// the memory of those.
pub(super) const fn held(protocol: usize) -> usize {
    protocol * BITS
}

/// The keys of a protocol.
pub(super) const fn table(protocol: usize) -> usize {
    OPENING + BITS + protocol * GROUPS * GROUP
}

/// TCP first, then UDP; the host's stack hears of ICMP too.
pub(super) const fn index(protocol: Protocol) -> Option<usize> {
    match protocol {
        Protocol::Tcp => Some(0),
        Protocol::Udp => Some(1),
        Protocol::Icmp => None,
    }
}

/// The memory, and what kind of NAT fills it.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) area: Arc<Area>,
    pub(super) held: Arc<Area>,
    pub(super) kind: NatType,
}

impl Shared {
    /// Empty memory; that of the held ports is the fast path's where there is one.
    pub(super) fn new(kind: NatType, held: Option<Arc<Area>>) -> io::Result<Self> {
        let made = || Area::new("uplink_held", HELD_WORDS).map(Arc::new);
        let held = held.map_or_else(made, Ok)?;
        Ok(Self { area: Arc::new(Area::new("uplink_ours", WORDS)?), held, kind })
    }

    /// The one that fills it.
    pub(super) fn writer(&self) -> Writer<Arc<Area>> {
        let memory = [&self.area, &self.held].map(Arc::clone);
        Writer::new(memory, self.kind, [rand::random(), rand::random()])
    }
}

/// Words that somebody else reads meanwhile.
pub(super) trait Memory: Debug + Send {
    fn words(&self) -> &[AtomicU64];
}

impl Memory for Arc<Area> {
    fn words(&self) -> &[AtomicU64] {
        Area::words(self)
    }
}

/// Fills the memory.
#[derive(Debug)]
pub(super) struct Writer<M> {
    memory: M,
    held: M,
    kind: NatType,
    factors: [u64; 2],
    /// How often each key was told.
    told: Vec<u32>,
    /// Why a port opens TCP, counted: sessions, or that it is held.
    opening: Vec<u32>,
    /// Why a port is anybody's, counted.
    anybody: [Vec<u32>; 2],
    /// Sessions without ports that share a bit.
    remotes: Vec<u32>,
}

impl<M: Memory> Writer<M> {
    fn new([memory, held]: [M; 2], kind: NatType, secret: [u64; 2]) -> Self {
        let factors = secret.map(|word| word | 1);
        for (word, factor) in memory.words().iter().zip(factors) {
            word.store(factor, Ordering::Relaxed);
        }
        let ports = || [vec![0; 65_536], vec![0; 65_536]];
        let told = vec![0; 2 * GROUPS * GROUP];
        let [opening, remotes] = ports();
        Self { memory, held, kind, factors, told, opening, anybody: ports(), remotes }
    }

    /// The two groups a key may be in, as the program finds them.
    fn groups(&self, key: u64) -> [usize; 2] {
        let [first, second] = self.factors;
        let mixed = key.wrapping_mul(first);
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(second);
        let group = |shift| usize::try_from(mixed >> shift & (GROUPS as u64 - 1)).unwrap_or(0);
        [group(SHIFTS.0), group(SHIFTS.1)]
    }

    fn key(&mut self, protocol: usize, key: u64, port: u16, is: bool) {
        let groups = self.groups(key).map(|group| group * GROUP);
        let words = &self.memory.words()[table(protocol)..];
        let holds = |at: usize, what: u64| words[at].load(Ordering::Relaxed) == what;
        let slots = |group: usize| group..group + GROUP;
        let mut both = groups.into_iter().flat_map(slots);
        let base = protocol * GROUPS * GROUP;
        let free = |group: usize| slots(group).filter(|at| holds(*at, 0)).count();
        match (both.find(|at| holds(*at, key)), is) {
            (Some(at), true) => self.told[base + at] += 1,
            (Some(at), false) => {
                self.told[base + at] -= 1;
                if self.told[base + at] == 0 {
                    words[at].store(0, Ordering::SeqCst);
                }
            }
            (None, true) => {
                let [first, second] = groups;
                let group = if free(second) > free(first) { second } else { first };
                match slots(group).find(|at| holds(*at, 0)) {
                    Some(at) => {
                        self.told[base + at] = 1;
                        words[at].store(key, Ordering::SeqCst);
                    }
                    None => self.whole_port(protocol, port, true),
                }
            }
            (None, false) => self.whole_port(protocol, port, false),
        }
    }

    fn whole_port(&mut self, protocol: usize, port: u16, is: bool) {
        if turned(&mut self.anybody[protocol][usize::from(port)], is) {
            mark(&self.memory, anybody(protocol), port, is);
        }
    }

    fn opens(&mut self, port: u16, is: bool) {
        if turned(&mut self.opening[usize::from(port)], is) {
            mark(&self.memory, OPENING, port, is);
        }
    }
}

fn mark(memory: &impl Memory, bits: usize, port: u16, is: bool) {
    let word = &memory.words()[bits + usize::from(port / 64)];
    let bit = 1 << (port % 64);
    if is {
        word.fetch_or(bit, Ordering::SeqCst)
    } else {
        word.fetch_and(!bit, Ordering::SeqCst)
    };
}

/// The bits of a mixed key that choose its two groups.
pub(super) const SHIFTS: (u32, u32) = (64 - GROUPS_LOG2, 64 - 2 * GROUPS_LOG2);

/// Counts one more or one less; whether there is one now and was none before, or the other way.
fn turned(count: &mut u32, is: bool) -> bool {
    *count = if is { *count + 1 } else { count.saturating_sub(1) };
    *count == u32::from(is)
}

/// The bit of what a remote sends by a protocol without ports.
fn remote_bit(protocol: IpProtocol, remote: Ipv4Addr) -> u16 {
    let [a, b, c, d] = remote.octets();
    u16::from_be_bytes([a ^ c ^ protocol.0, b ^ d])
}

/// Our port and the remote end, as they lie in a packet: source, its port, our port.
fn key(port: u16, remote: Endpoint) -> u64 {
    let [a, b, c, d] = remote.address.octets();
    let ([e, f], [g, h]) = (remote.port.to_be_bytes(), port.to_be_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

impl<M: Memory> gateway::Ours for Writer<M> {
    fn session(&mut self, protocol: Protocol, port: u16, remote: Endpoint, is: bool) {
        let Some(at) = index(protocol) else { return };
        if protocol == Protocol::Tcp && self.kind.endpoint_independent_mapping() {
            self.opens(port, is);
        }
        match self.kind.filter() {
            Filter::Independent => self.whole_port(at, port, is),
            Filter::Address => {
                self.key(at, key(port, Endpoint::new(remote.address, 0)), port, is);
            }
            Filter::AddressAndPort => self.key(at, key(port, remote), port, is),
        }
    }

    fn published(&mut self, protocol: Protocol, port: u16, is: bool) {
        if let Some(at) = index(protocol) {
            self.whole_port(at, port, is);
        }
    }

    fn held(&mut self, protocol: Protocol, port: u16, is: bool) {
        let Some(at) = index(protocol) else { return };
        mark(&self.held, held(at), port, is);
        match protocol {
            Protocol::Tcp => self.opens(port, is),
            _ => self.whole_port(at, port, is),
        }
    }

    fn by_address(&mut self, protocol: IpProtocol, remote: Ipv4Addr, is: bool) {
        let bit = remote_bit(protocol, remote);
        // The filter lets in what is silenced before it is, and until it is not any more.
        if is && turned(&mut self.remotes[usize::from(bit)], is) {
            mark(&self.held, REMOTES, bit, is);
        }
        self.key(1, key(0, Endpoint::new(remote, protocol.0.into())), 0, is);
        if !is && turned(&mut self.remotes[usize::from(bit)], is) {
            mark(&self.held, REMOTES, bit, is);
        }
    }
}
