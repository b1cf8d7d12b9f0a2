//! The same filter as a program, which looks into the memory of `ours` for the ports beside the block
//! that are held, and for remotes that the NAT speaks to by protocols without ports: they come and go while
//! the ring is open.
//!
//! Of such a port all TCP is let in, what the host's stack has for its own too: the gateway says nothing
//! about that. `is_ours` of bpf/c/flows.bpf.c decides the same where the ring is the fast path's.

use std::net::Ipv4Addr;

use sys::bpf::op::{Alu, If, Size};
use sys::bpf::{Draft, Op};
use wire::{ethertype, icmp, ipv4::protocol};

use super::super::frame::{
    ARG, FRAME, IP, IP_AT, NUMBER, PORTS, RESULT, STACK, fetch, is_held, is_remote, port, raw,
    transport, untagged,
};
use super::super::ours::Shared;
use super::{ARP_SENDER, ARP_TARGET, IS_FRAGMENT, OFFSET, TYPE};
use crate::uplink::PortBlock;

/// All of the frame.
const ALL: i32 = -1;

// What is kept on the stack, below what all programs keep.
const WORDS: i16 = -40;
const OUTER: i16 = -48;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Untagged,
    Ip,
    Ports,
    Identifier,
    Error,
    QuotedPorts,
    Remote,
    QuotedRemote,
    InBlock,
    Beyond,
    BeyondUdp,
    Accept,
    Reject,
}

/// A type of Ethernet as it lies in memory.
fn half(value: u16) -> i32 {
    u16::from_ne_bytes(value.to_be_bytes()).into()
}

fn at(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// The filter for an address and a block of its ports.
pub(crate) fn program(address: Ipv4Addr, block: PortBlock, ours: &Shared) -> Vec<Op> {
    let own = raw(address.octets());
    let mut p = Draft::default();
    p.op(Op::alu_reg(Alu::Mov, FRAME, ARG[0]));
    untagged(&mut p, Place::Untagged, Place::Reject);

    p.at(Place::Untagged);
    p.op(Op::alu(Alu::Mov, ARG[1], at(TYPE)));
    fetch(&mut p, WORDS, 2, Place::Reject);
    p.op(Op::load(Size::Half, RESULT, STACK, WORDS));
    p.if_so(If::Equal, RESULT, half(ethertype::IPV4), Place::Ip);
    p.if_so(If::Differs, RESULT, half(ethertype::ARP), Place::Reject);
    p.op(Op::alu(Alu::Mov, ARG[1], at(ARP_TARGET)));
    fetch(&mut p, WORDS, 4, Place::Reject);
    p.op(Op::load(Size::Word, NUMBER, STACK, WORDS));
    p.if_so(If::Equal, NUMBER, own, Place::Accept);
    p.op(Op::alu(Alu::Mov, ARG[1], at(ARP_SENDER)));
    fetch(&mut p, WORDS, 4, Place::Reject);
    p.op(Op::load(Size::Word, RESULT, STACK, WORDS));
    // What a host announces of itself.
    p.jump(Op::jump_if_reg(If::Equal, RESULT, NUMBER, 0), Place::Accept);
    p.jump(Op::jump(0), Place::Reject);

    p.at(Place::Ip);
    p.op(Op::alu(Alu::Mov, ARG[1], IP_AT));
    fetch(&mut p, IP, 20, Place::Reject);
    p.op(Op::load(Size::Word, RESULT, STACK, IP + 16));
    p.if_so(If::Differs, RESULT, own, Place::Reject);
    p.op(Op::load(Size::Half, RESULT, STACK, IP + 6));
    p.op(Op::be16(RESULT));
    p.op(Op::alu(Alu::And, RESULT, at(IS_FRAGMENT)));
    p.if_so(If::Differs, RESULT, 0, Place::Accept);
    p.op(Op::load(Size::Byte, NUMBER, STACK, IP + 9));
    p.if_so(If::Equal, NUMBER, protocol::TCP.into(), Place::Ports);
    p.if_so(If::Equal, NUMBER, protocol::UDP.into(), Place::Ports);
    p.if_so(If::Differs, NUMBER, protocol::ICMP.into(), Place::Remote);
    transport(&mut p, 0);
    fetch(&mut p, WORDS, 1, Place::Reject);
    p.op(Op::load(Size::Byte, RESULT, STACK, WORDS));
    for reply in [icmp::ECHO_REPLY, icmp::TIMESTAMP_REPLY] {
        p.if_so(If::Equal, RESULT, reply.into(), Place::Identifier);
    }
    for error in [icmp::UNREACHABLE, icmp::TIME_EXCEEDED, icmp::PARAMETER_PROBLEM] {
        p.if_so(If::Equal, RESULT, error.into(), Place::Error);
    }
    p.jump(Op::jump(0), Place::Reject);

    // A quoted packet has our address as its source, and ports unless it is a later fragment.
    p.at(Place::Error);
    p.op(Op::load(Size::Byte, RESULT, STACK, IP));
    p.op(Op::store(Size::Double, STACK, OUTER, RESULT));
    quoted(&mut p);
    fetch(&mut p, IP, 20, Place::Reject);
    p.op(Op::load(Size::Word, RESULT, STACK, IP + 12));
    p.if_so(If::Differs, RESULT, own, Place::Reject);
    p.op(Op::load(Size::Half, RESULT, STACK, IP + 6));
    p.op(Op::be16(RESULT));
    p.op(Op::alu(Alu::And, RESULT, at(OFFSET)));
    p.if_so(If::Differs, RESULT, 0, Place::Reject);
    p.op(Op::load(Size::Byte, NUMBER, STACK, IP + 9));
    p.if_so(If::Equal, NUMBER, protocol::TCP.into(), Place::QuotedPorts);
    p.if_so(If::Equal, NUMBER, protocol::UDP.into(), Place::QuotedPorts);
    p.if_so(If::Differs, NUMBER, protocol::ICMP.into(), Place::QuotedRemote);
    behind_quoted(&mut p, 4);
    fetch(&mut p, PORTS + 2, 2, Place::Reject);
    p.jump(Op::jump(0), Place::InBlock);
    p.at(Place::QuotedPorts);
    behind_quoted(&mut p, 0);
    fetch(&mut p, PORTS + 2, 2, Place::Reject);
    p.jump(Op::jump(0), Place::Beyond);

    p.at(Place::Identifier);
    transport(&mut p, 4);
    fetch(&mut p, PORTS + 2, 2, Place::Reject);
    p.jump(Op::jump(0), Place::InBlock);

    p.at(Place::Ports);
    transport(&mut p, 2);
    fetch(&mut p, PORTS + 2, 2, Place::Reject);

    p.at(Place::Beyond);
    p.if_so(If::Equal, NUMBER, protocol::UDP.into(), Place::BeyondUdp);
    is_held(&mut p, PORTS + 2, 0, ours);
    p.if_so(If::Differs, RESULT, 0, Place::Accept);
    p.jump(Op::jump(0), Place::InBlock);
    p.at(Place::BeyondUdp);
    is_held(&mut p, PORTS + 2, 1, ours);
    p.if_so(If::Differs, RESULT, 0, Place::Accept);

    p.jump(Op::jump(0), Place::InBlock);

    // Of protocols without ports what is from those that the NAT has sessions with, or about that.
    p.at(Place::QuotedRemote);
    is_remote(&mut p, IP + 16, ours);
    p.if_so(If::Differs, RESULT, 0, Place::Accept);
    p.jump(Op::jump(0), Place::Reject);
    p.at(Place::Remote);
    is_remote(&mut p, IP + 12, ours);
    p.if_so(If::Differs, RESULT, 0, Place::Accept);
    p.jump(Op::jump(0), Place::Reject);

    p.at(Place::InBlock);
    port(&mut p, PORTS + 2);
    p.if_so(If::Below, RESULT, block.first().into(), Place::Reject);
    p.if_so(If::Above, RESULT, block.last().into(), Place::Reject);
    p.at(Place::Accept);
    p.op(Op::alu(Alu::Mov, RESULT, ALL));
    p.op(Op::exit());
    p.at(Place::Reject);
    p.op(Op::alu(Alu::Mov, RESULT, 0));
    p.op(Op::exit());
    p.finish()
}

/// R2: where the packet begins that an ICMP error quotes, behind a header whose first byte is kept.
fn quoted(p: &mut Draft<Place>) {
    p.op(Op::load(Size::Double, ARG[1], STACK, OUTER));
    p.op(Op::alu(Alu::And, ARG[1], 15));
    p.op(Op::alu(Alu::Shl, ARG[1], 2));
    p.op(Op::alu(Alu::Add, ARG[1], IP_AT + 8));
}

/// R2: so far behind the header of that packet, which is on the stack.
fn behind_quoted(p: &mut Draft<Place>, into: i32) {
    quoted(p);
    p.op(Op::load(Size::Byte, ARG[2], STACK, IP));
    p.op(Op::alu(Alu::And, ARG[2], 15));
    p.op(Op::alu(Alu::Shl, ARG[2], 2));
    p.op(Op::alu_reg(Alu::Add, ARG[1], ARG[2]));
    p.op(Op::alu(Alu::Add, ARG[1], into));
}
