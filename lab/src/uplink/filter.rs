//! What of the host's traffic reaches the gateway's ring: a classic BPF filter, or a program (`shared`)
//! where ports beside the block may be held. Pure.
//!
//! Frames for the block alone: TCP and UDP to it, echo and timestamp replies to it, ICMP errors
//! that quote a packet from it, all fragments (only the first has ports), and of ARP what is said
//! to the address and what hosts announce of themselves, as a router with a new card does. Of other
//! protocols the program lets in what the NAT speaks, the classic filter nothing. The
//! host's own traffic costs a few instructions and neither a copy nor a wake-up.

use std::net::Ipv4Addr;

use sys::packet::FilterOp;
use wire::{ethertype, icmp, ipv4::protocol};

use super::PortBlock;

pub(crate) mod shared;
#[cfg(test)]
mod tests;

/// `linux/filter.h`: class, size and mode, or class and operation, in one.
mod code {
    pub(super) const WORD: u16 = 0x20;
    pub(super) const HALF: u16 = 0x28;
    pub(super) const BYTE: u16 = 0x30;
    pub(super) const WORD_FROM_X: u16 = 0x40;
    pub(super) const HALF_FROM_X: u16 = 0x48;
    pub(super) const BYTE_FROM_X: u16 = 0x50;
    /// X is four times the low half of a byte: the length of an IP header.
    pub(super) const X_HEADER_LENGTH: u16 = 0xb1;
    pub(super) const AND: u16 = 0x54;
    pub(super) const SHIFT_LEFT: u16 = 0x64;
    pub(super) const ADD_X: u16 = 0x0c;
    pub(super) const X_IS_A: u16 = 0x07;
    pub(super) const IF_EQUAL: u16 = 0x15;
    pub(super) const IF_EQUALS_X: u16 = 0x1d;
    pub(super) const IF_ABOVE: u16 = 0x25;
    pub(super) const IF_NOT_BELOW: u16 = 0x35;
    pub(super) const IF_ANY_BIT: u16 = 0x45;
    pub(super) const RETURN: u16 = 0x06;
}

/// Where the kernel shows what stands beside a frame (`SKF_AD_OFF`).
const BESIDE: u32 = 0xffff_f000;
const VLAN_TAG: u32 = BESIDE + 44;
const VLAN_PRESENT: u32 = BESIDE + 48;

// Offsets in a frame without tag.
const TYPE: u32 = 12;
const ARP_SENDER: u32 = 28;
const ARP_TARGET: u32 = 38;
const IP: u32 = 14;
const FRAGMENT: u32 = IP + 6;
const PROTOCOL: u32 = IP + 9;
const DESTINATION: u32 = IP + 16;
/// Behind an IP header whose length is in X.
const BEHIND: u32 = IP;
/// The packet an ICMP error quotes.
const QUOTED: u32 = BEHIND + 8;

/// More fragments, or an offset.
const IS_FRAGMENT: u32 = 0x3fff;
const OFFSET: u32 = 0x1fff;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Here,
    Arp,
    Untagged,
    Ip,
    Whole,
    Ports,
    Icmp,
    Identifier,
    Error,
    QuotedPorts,
    QuotedQuery,
    Range,
    Accept,
    Reject,
}

/// A program under way: instructions, where they jump to, where the places are.
#[derive(Default)]
struct Program {
    ops: Vec<(FilterOp, Place, Place)>,
    places: Vec<(Place, usize)>,
}

impl Program {
    fn at(&mut self, place: Place) {
        self.places.push((place, self.ops.len()));
    }

    fn op(&mut self, code: u16, value: u32) {
        self.test(code, value, Place::Here, Place::Here);
    }

    /// Where the condition does not hold, the next instruction follows unless `otherwise` says.
    fn test(&mut self, code: u16, value: u32, then: Place, otherwise: Place) {
        self.ops.push((FilterOp { code, then: 0, otherwise: 0, value }, then, otherwise));
    }

    fn go(&mut self, to: Place) {
        self.test(code::IF_EQUAL, 0, to, to);
    }

    fn finish(self) -> Vec<FilterOp> {
        let by = |from: usize, to: Place| {
            let found = self.places.iter().find(|(place, _)| *place == to);
            found.map_or(0, |(_, at)| u8::try_from(at - from - 1).unwrap_or(0))
        };
        let ops = self.ops.iter().enumerate();
        ops.map(|(at, (op, then, otherwise))| FilterOp {
            then: by(at, *then),
            otherwise: by(at, *otherwise),
            ..*op
        })
        .collect()
    }
}

/// The filter for an address and a block of its ports.
pub(crate) fn program(address: Ipv4Addr, block: PortBlock) -> Vec<FilterOp> {
    use Place::{Accept, Here, Reject};
    use code::{BYTE, BYTE_FROM_X, HALF, HALF_FROM_X, IF_EQUAL, WORD, WORD_FROM_X};
    let own = u32::from(address);
    let mut p = Program::default();
    // A tag that names a VLAN makes the frame somebody else's.
    p.op(BYTE, VLAN_PRESENT);
    p.test(IF_EQUAL, 0, Place::Untagged, Here);
    p.op(HALF, VLAN_TAG);
    p.test(code::IF_ANY_BIT, 0xfff, Reject, Here);
    p.at(Place::Untagged);
    p.op(HALF, TYPE);
    p.test(IF_EQUAL, ethertype::IPV4.into(), Place::Ip, Here);
    p.test(IF_EQUAL, ethertype::ARP.into(), Place::Arp, Reject);

    p.at(Place::Arp);
    p.op(WORD, ARP_TARGET);
    p.test(IF_EQUAL, own, Accept, Here);
    p.op(code::X_IS_A, 0);
    p.op(WORD, ARP_SENDER);
    p.test(code::IF_EQUALS_X, 0, Accept, Reject);

    p.at(Place::Ip);
    p.op(WORD, DESTINATION);
    p.test(IF_EQUAL, own, Here, Reject);
    p.op(HALF, FRAGMENT);
    p.test(code::IF_ANY_BIT, IS_FRAGMENT, Accept, Place::Whole);

    p.at(Place::Whole);
    p.op(code::X_HEADER_LENGTH, IP);
    p.op(BYTE, PROTOCOL);
    p.test(IF_EQUAL, protocol::TCP.into(), Place::Ports, Here);
    p.test(IF_EQUAL, protocol::UDP.into(), Place::Ports, Here);
    p.test(IF_EQUAL, protocol::ICMP.into(), Place::Icmp, Reject);

    p.at(Place::Ports);
    p.op(HALF_FROM_X, BEHIND + 2);
    p.go(Place::Range);

    p.at(Place::Icmp);
    p.op(BYTE_FROM_X, BEHIND);
    p.test(IF_EQUAL, icmp::ECHO_REPLY.into(), Place::Identifier, Here);
    p.test(IF_EQUAL, icmp::TIMESTAMP_REPLY.into(), Place::Identifier, Here);
    p.test(IF_EQUAL, icmp::UNREACHABLE.into(), Place::Error, Here);
    p.test(IF_EQUAL, icmp::TIME_EXCEEDED.into(), Place::Error, Here);
    p.test(IF_EQUAL, icmp::PARAMETER_PROBLEM.into(), Place::Error, Reject);

    p.at(Place::Identifier);
    p.op(HALF_FROM_X, BEHIND + 4);
    p.go(Place::Range);

    // A quoted packet has our address as its source, and ports unless it is a later fragment.
    p.at(Place::Error);
    p.op(WORD_FROM_X, QUOTED + 12);
    p.test(IF_EQUAL, own, Here, Reject);
    p.op(HALF_FROM_X, QUOTED + 6);
    p.test(code::IF_ANY_BIT, OFFSET, Reject, Here);
    p.op(BYTE_FROM_X, QUOTED + 9);
    p.test(IF_EQUAL, protocol::ICMP.into(), Place::QuotedQuery, Here);
    p.test(IF_EQUAL, protocol::TCP.into(), Place::QuotedPorts, Here);
    p.test(IF_EQUAL, protocol::UDP.into(), Place::QuotedPorts, Reject);

    p.at(Place::QuotedPorts);
    behind_quoted(&mut p);
    p.op(HALF_FROM_X, QUOTED);
    p.go(Place::Range);

    p.at(Place::QuotedQuery);
    behind_quoted(&mut p);
    p.op(HALF_FROM_X, QUOTED + 4);

    p.at(Place::Range);
    p.test(code::IF_NOT_BELOW, block.first().into(), Here, Reject);
    p.test(code::IF_ABOVE, block.last().into(), Reject, Accept);
    p.at(Accept);
    p.op(code::RETURN, u32::MAX);
    p.at(Reject);
    p.op(code::RETURN, 0);
    p.finish()
}

/// Adds the length of the quoted header to X.
fn behind_quoted(p: &mut Program) {
    p.op(code::BYTE_FROM_X, QUOTED);
    p.op(code::AND, 15);
    p.op(code::SHIFT_LEFT, 2);
    p.op(code::ADD_X, 0);
    p.op(code::X_IS_A, 0);
}
