//! Which of the packets asked about a rule still applies to: protocols and ports of the block, and
//! whether there was a condition nobody here can read.

use std::ops::RangeInclusive;

use super::{Ask, Transport};

/// The packets that a place in the rules is reached by.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    first: u16,
    /// A bit a port, by protocol.
    ports: [Vec<bool>; 2],
    /// A condition has named ports.
    named: bool,
    /// A condition could not be read.
    unread: bool,
}

impl Scope {
    /// All that is asked about.
    pub(super) fn all(ask: &Ask<'_>) -> Self {
        let ports = || vec![true; ask.ports.len()];
        let first = *ask.ports.start();
        Self { first, ports: [ports(), ports()], named: false, unread: false }
    }

    /// The same without any packet, to be added to.
    pub(super) fn none(&self) -> Self {
        let ports = || vec![false; self.ports[0].len()];
        Self { ports: [ports(), ports()], ..*self }
    }

    /// Adds what another has.
    pub(super) fn add(&mut self, other: &Self) {
        for (own, other) in self.ports.iter_mut().zip(&other.ports) {
            own.iter_mut().zip(other).for_each(|(own, other)| *own |= other);
        }
        self.named |= other.named;
        self.unread |= other.unread;
    }

    /// Takes away what another has; what may be there for a condition nobody reads stays.
    pub(super) fn without(&mut self, other: &Self) {
        self.named |= other.named;
        if other.unread {
            return self.unread();
        }
        for (own, other) in self.ports.iter_mut().zip(&other.ports) {
            own.iter_mut().zip(other).for_each(|(own, other)| *own &= !other);
        }
    }

    /// A condition nobody here can read.
    pub(super) fn unread(&mut self) {
        self.unread = true;
    }

    /// Of nothing.
    pub(super) fn empty(&mut self) {
        self.ports.iter_mut().for_each(|ports| ports.fill(false));
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.ports.iter().flatten().any(|is| *is)
    }

    /// Of these protocols alone, by their numbers.
    pub(super) fn protocols(&mut self, keep: impl Fn(u8) -> bool) {
        for (ports, protocol) in self.ports.iter_mut().zip(Transport::ALL) {
            if !keep(protocol.number()) {
                ports.fill(false);
            }
        }
    }

    /// Of these ports alone.
    pub(super) fn ports(&mut self, keep: impl Fn(u16) -> bool) {
        self.named = true;
        for ports in &mut self.ports {
            for (port, is) in (self.first..).zip(ports) {
                *is = *is && keep(port);
            }
        }
    }

    /// Of the ports of a range alone, or all others.
    pub(super) fn range(&mut self, range: &RangeInclusive<u16>, inverted: bool) {
        self.ports(|port| range.contains(&port) != inverted);
    }

    /// The lowest port a rule here takes, of each protocol.
    pub(super) fn taken(&self) -> Vec<(Transport, u16)> {
        if self.unread && !self.named {
            return Vec::new();
        }
        let both = self.ports.iter().zip(Transport::ALL);
        let lowest = |(ports, protocol): (&Vec<bool>, _)| {
            let at = (self.first..).zip(ports).find(|(_, is)| **is)?.0;
            Some((protocol, at))
        };
        both.filter_map(lowest).collect()
    }
}
