//! Which outside ports are free, and which one a new mapping gets.
//!
//! RFC 4787 REQ-3/4: the inside port if it is free, else a free one of the same class (below
//! 1024 or not), of the same parity for UDP while there is one. "Else" is a keyed hash of who
//! asks, so outsiders cannot foresee it (RFC 6056) and a preview foresees it exactly. Where no
//! port is left the answer is None; ports are never overloaded.

use std::ops::RangeInclusive;

use crate::hash;
use crate::packet::{Endpoint, Protocol};

const WORDS: usize = 65_536 / 64;
/// Ports below this are the system's (RFC 6335).
const SYSTEM: u32 = 1024;

/// Ports of one class tried for a session of its own before others give way.
pub(crate) const TRIES: usize = 1024;

/// The ports of one protocol.
#[derive(Debug)]
pub(crate) struct Ports {
    range: RangeInclusive<u16>,
    /// A set bit is a port that may be taken: in the range and not in use.
    free: Box<[u64; WORDS]>,
    seed: u64,
    parity: bool,
    available: u32,
}

impl Ports {
    pub(crate) fn new(protocol: Protocol, range: RangeInclusive<u16>, seed: u64) -> Self {
        let mut ports = Self {
            range,
            free: Box::new([0; WORDS]),
            seed: hash::sip(seed, &[u64::from(protocol.number())]),
            parity: protocol == Protocol::Udp,
            available: 0,
        };
        ports.reset();
        ports
    }

    /// Every port of the range is free again. Port 0 is no port of TCP or UDP.
    pub(crate) fn reset(&mut self) {
        let (low, high) = (usize::from(*self.range.start()), usize::from(*self.range.end()));
        self.available = 0;
        for (number, word) in self.free.iter_mut().enumerate() {
            let first = low.max(1).saturating_sub(number * 64).min(64);
            let after = (high + 1).saturating_sub(number * 64).min(64);
            // Bits from `first` up to, not including, `after`.
            let below = |bits: usize| if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
            *word = below(after) & !below(first);
            self.available += word.count_ones();
        }
    }

    pub(crate) fn available(&self) -> u32 {
        self.available
    }

    /// How many there are, taken or not.
    pub(crate) fn most(&self) -> u32 {
        u32::from(*self.range.end()) - u32::from(*self.range.start()) + 1
    }

    pub(crate) fn covers(&self, port: u16) -> bool {
        port != 0 && self.range.contains(&port)
    }

    pub(crate) fn is_free(&self, port: u16) -> bool {
        self.free[usize::from(port) / 64] >> (port % 64) & 1 == 1
    }

    /// Marks a port as taken; true where it was free.
    pub(crate) fn take(&mut self, port: u16) -> bool {
        let was = self.is_free(port);
        if was {
            self.free[usize::from(port) / 64] &= !(1 << (port % 64));
            self.available -= 1;
        }
        was
    }

    /// Gives a port back; one outside the range is nobody's to give.
    pub(crate) fn give(&mut self, port: u16) {
        if self.covers(port) && !self.is_free(port) {
            self.free[usize::from(port) / 64] |= 1 << (port % 64);
            self.available += 1;
        }
    }

    /// Where the search for `inside` starts; unpredictable from outside.
    fn start(&self, inside: Endpoint, salt: u64) -> u64 {
        let words = [u64::from(u32::from(inside.address)), u64::from(inside.port), salt];
        hash::sip(self.seed, &words)
    }

    /// Ports for a session that needs one for itself only, taken or not, each of them once: those of the
    /// same class first, at most [`TRIES`] of a class, for UDP by turns of the same parity and of the
    /// other. They are spread, so that few are enough.
    pub(crate) fn tries(&self, inside: Endpoint, salt: u64) -> impl Iterator<Item = u16> + '_ {
        let hash = self.start(inside, salt);
        let spans = self.spans(inside.port).into_iter().flatten();
        spans.flat_map(move |(low, high)| {
            let step = 1 + u32::from(self.parity);
            let other = (low + u32::from(inside.port)) % step;
            let turns = [low + other, low + step - 1 - other]
                .map(|first| Spread::new((first, high), step, hash));
            let both = (0u32..).map(move |n| turns[(n % step) as usize].get(n / step));
            both.take((high - low + 2) as usize).flatten().take(TRIES)
        })
    }

    /// The port a new mapping of `inside` gets, where `freed` is about to be free as well.
    pub(crate) fn choose(&self, inside: Endpoint, freed: Option<u16>) -> Option<u16> {
        let freed = freed.filter(|port| self.covers(*port));
        if self.is_free(inside.port) || freed == Some(inside.port) {
            return Some(inside.port);
        }
        let start = (self.start(inside, 0) & 0xffff) as u16;
        self.spans(inside.port).into_iter().flatten().find_map(|(low, high)| {
            let any = || self.scan((low, high), start, u64::MAX, freed);
            if self.parity {
                let same = if inside.port.is_multiple_of(2) {
                    0x5555_5555_5555_5555
                } else {
                    !0x5555_5555_5555_5555
                };
                self.scan((low, high), start, same, freed).or_else(any)
            } else {
                any()
            }
        })
    }

    /// The parts of the range to search for an inside port, best first: its own class; then, for
    /// a system port, the others, and for another the system ports only where the range has
    /// nothing else.
    fn spans(&self, inside_port: u16) -> [Option<(u32, u32)>; 2] {
        let (low, high) = (u32::from(*self.range.start()), u32::from(*self.range.end()));
        let system = (low < SYSTEM).then(|| (low, high.min(SYSTEM - 1)));
        let others = (high >= SYSTEM).then(|| (low.max(SYSTEM), high));
        if u32::from(inside_port) < SYSTEM {
            [system, others]
        } else if others.is_some() {
            [others, None]
        } else {
            [system, None]
        }
    }

    /// True where `port`, if it were free, could be an inside port's.
    pub(crate) fn serves(&self, inside_port: u16, port: u16) -> bool {
        let within = |(low, high): (u32, u32)| (low..=high).contains(&u32::from(port));
        self.covers(port) && self.spans(inside_port).into_iter().flatten().any(within)
    }

    /// The first free port from `start` on, wrapping within `low..=high`, whose bit is in `mask`.
    fn scan(
        &self,
        (low, high): (u32, u32),
        start: u16,
        mask: u64,
        freed: Option<u16>,
    ) -> Option<u16> {
        let start = low + u32::from(start) % (high - low + 1);
        self.first((start, high), mask, freed)
            .or_else(|| self.first((low, start.checked_sub(1)?), mask, freed))
    }

    fn first(&self, (from, to): (u32, u32), mask: u64, freed: Option<u16>) -> Option<u16> {
        if from > to {
            return None;
        }
        let (first, last) = (from / 64, to / 64);
        for word in first..=last {
            let mut bits = self.free[word as usize];
            if let Some(port) = freed.filter(|port| u32::from(*port) / 64 == word) {
                bits |= 1 << (port % 64);
            }
            bits &= mask;
            if word == first {
                bits &= u64::MAX << (from % 64);
            }
            if word == last {
                bits &= u64::MAX >> (63 - to % 64);
            }
            if bits != 0 {
                return u16::try_from(word * 64 + bits.trailing_zeros()).ok();
            }
        }
        None
    }
}

/// Every `step`th port of a span, each once, in an order that a hash chooses.
#[derive(Clone, Copy, Debug)]
struct Spread {
    first: u32,
    step: u32,
    count: u64,
    start: u64,
    stride: u64,
}

impl Spread {
    fn new((first, high): (u32, u32), step: u32, hash: u64) -> Self {
        let count = u64::from((high + step).saturating_sub(first) / step);
        // One that has no divisor in common with their number comes by all of them.
        let stride = (hash >> 32) % count.max(1);
        let stride = (stride.max(1)..).find(|stride| gcd(*stride, count) == 1).unwrap_or(1);
        Self { first, step, count, start: hash & 0xffff_ffff, stride }
    }

    fn get(&self, n: u32) -> Option<u16> {
        if u64::from(n) >= self.count {
            return None;
        }
        let at = (self.start + u64::from(n) * self.stride) % self.count;
        u16::try_from(u64::from(self.first) + at * u64::from(self.step)).ok()
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
