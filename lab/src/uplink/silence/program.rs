//! The program at the interface's ingress: what is the NAT's is dropped before the stack sees it,
//! all else goes on.
//!
//! TCP and UDP to one address and its block, or to a port that is held, are looked up in the memory of
//! `ours`: the port as anybody's, then the port with its remote end, then, of a TCP segment that opens a
//! connection, the port alone: the inside may be about to open the same one (RFC 5382 REQ-4), or the
//! port is held, and nobody but the NAT is to answer.
//!
//! What comes by another protocol is looked up by that and the source, each fragment too.
//!
//! Of the others only the first fragment of a datagram has ports, so the program remembers whose later ones are
//! (1024 datagrams, 30 s).

use std::net::Ipv4Addr;

use gateway::Filter;
use sys::bpf::op::{Alu, Helper, If, Size};
use sys::bpf::{Draft, LruMap, Op};
use wire::{ethertype, ipv4::protocol};

use crate::uplink::PortBlock;
use crate::uplink::frame::{
    AREA, ARG, ETHERTYPE, FLAGS, FRAME, IP, IP_AT, KEY, NUMBER, PORTS, RESULT, STACK, bit, bytes,
    fetch, is_held, port, raw, stack_address, transport, untagged,
};
use crate::uplink::ours::{GROUP, GROUPS_LOG2, OPENING, SHIFTS, Shared, anybody, table};

/// Lifetime of such knowledge, in units of 2^30 nanoseconds.
const AGE_SHIFT: i32 = 30;
const AGE: i32 = 28;

/// Source, identification, protocol: which datagram a fragment is of.
const DATAGRAM: i16 = -40;
const TIME: i16 = -48;
const CONTROL: i16 = -56;

/// Where TCP has its control bits, and those of a segment that opens a connection.
const CONTROL_AT: i32 = 12;
const FIN_SYN_RST_ACK: i32 = 0x17;
const SYN: i32 = 0x02;

/// `TCX_NEXT`: the other programs, then the stack.
const GO_ON: i32 = -1;
/// `TCX_DROP`
const DROP: i32 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    ByAddress,
    Tagged,
    Twice,
    Untagged,
    Transport,
    Later,
    Beyond,
    BeyondUdp,
    Known,
    Control,
    Udp,
    Ours,
    Foreign,
    Drop,
    GoOn,
}

/// The program for an address and a block of its ports.
pub(super) fn program(
    address: Ipv4Addr,
    block: PortBlock,
    datagrams: &LruMap,
    ours: &Shared,
) -> Vec<Op> {
    let mut p = Draft::default();
    p.op(Op::alu_reg(Alu::Mov, FRAME, ARG[0]));
    p.op(Op::load(Size::Word, RESULT, FRAME, ETHERTYPE));
    let half = |value: u16| i32::from(u16::from_ne_bytes(value.to_be_bytes()));
    p.if_so(If::Equal, RESULT, half(ethertype::VLAN), Place::Tagged);
    p.if_so(If::Equal, RESULT, half(ethertype::QINQ), Place::Tagged);
    p.if_so(If::Differs, RESULT, half(ethertype::IPV4), Place::GoOn);
    untagged(&mut p, Place::Untagged, Place::GoOn);
    p.jump(Op::jump(0), Place::Untagged);

    // A tag for no VLAN before another such: the stack strips both behind this program
    // (`__netif_receive_skb_core`, check_vlan_id), and nobody sends that but who hides something.
    p.at(Place::Tagged);
    untagged(&mut p, Place::Twice, Place::GoOn);
    p.at(Place::Twice);
    p.op(Op::alu(Alu::Mov, ARG[1], IP_AT));
    fetch(&mut p, CONTROL, 2, Place::GoOn);
    p.op(Op::load(Size::Half, RESULT, STACK, CONTROL));
    p.op(Op::be16(RESULT));
    p.op(Op::alu(Alu::And, RESULT, 0x0fff));
    p.if_so(If::Equal, RESULT, 0, Place::Drop);
    p.jump(Op::jump(0), Place::GoOn);

    p.at(Place::Untagged);
    p.op(Op::alu(Alu::Mov, ARG[1], IP_AT));
    fetch(&mut p, IP, 20, Place::GoOn);
    p.op(Op::load(Size::Word, RESULT, STACK, IP + 16));
    p.if_so(If::Differs, RESULT, raw(address.octets()), Place::GoOn);
    p.op(Op::load(Size::Byte, NUMBER, STACK, IP + 9));
    p.if_so(If::Equal, NUMBER, protocol::TCP.into(), Place::Transport);
    p.if_so(If::Differs, NUMBER, protocol::UDP.into(), Place::ByAddress);

    p.at(Place::Transport);
    p.op(Op::load(Size::Word, RESULT, STACK, IP + 12));
    p.op(Op::store(Size::Word, STACK, DATAGRAM, RESULT));
    p.op(Op::store(Size::Word, STACK, KEY, RESULT));
    p.op(Op::load(Size::Half, RESULT, STACK, IP + 4));
    p.op(Op::store(Size::Half, STACK, DATAGRAM + 4, RESULT));
    p.op(Op::store(Size::Half, STACK, DATAGRAM + 6, NUMBER));
    p.op(Op::load(Size::Half, FLAGS, STACK, IP + 6));
    p.op(Op::be16(FLAGS));
    p.op(Op::alu_reg(Alu::Mov, RESULT, FLAGS));
    p.op(Op::alu(Alu::And, RESULT, 0x1fff));
    p.if_so(If::Differs, RESULT, 0, Place::Later);
    transport(&mut p, 0);
    fetch(&mut p, PORTS, 4, Place::GoOn);
    p.all(Op::area(AREA, &ours.area));
    port(&mut p, PORTS + 2);
    p.if_so(If::Below, RESULT, block.first().into(), Place::Beyond);
    p.if_so(If::Above, RESULT, block.last().into(), Place::Beyond);
    p.jump(Op::jump(0), Place::Known);

    // Of the ports beside the block those that are held may be ours.
    p.at(Place::Beyond);
    p.if_so(If::Equal, NUMBER, protocol::UDP.into(), Place::BeyondUdp);
    is_held(&mut p, PORTS + 2, 0, ours);
    p.if_so(If::Differs, RESULT, 0, Place::Known);
    p.jump(Op::jump(0), Place::Foreign);
    p.at(Place::BeyondUdp);
    is_held(&mut p, PORTS + 2, 1, ours);
    p.if_so(If::Differs, RESULT, 0, Place::Udp);
    p.jump(Op::jump(0), Place::Foreign);

    p.at(Place::Known);
    p.if_so(If::Equal, NUMBER, protocol::UDP.into(), Place::Udp);
    look_up(&mut p, 0, ours);
    bit(&mut p, PORTS + 2, OPENING);
    p.if_so(If::Equal, RESULT, 0, Place::Foreign);
    // A fragment that ends before the control bits hides what it opens, and what is behind its end is
    // not of the packet.
    p.op(Op::alu_reg(Alu::Mov, RESULT, FLAGS));
    p.op(Op::alu(Alu::And, RESULT, 0x2000));
    p.if_so(If::Equal, RESULT, 0, Place::Control);
    p.op(Op::load(Size::Half, RESULT, STACK, IP + 2));
    p.op(Op::be16(RESULT));
    p.op(Op::load(Size::Byte, ARG[1], STACK, IP));
    p.op(Op::alu(Alu::And, ARG[1], 15));
    p.op(Op::alu(Alu::Shl, ARG[1], 2));
    p.op(Op::alu_reg(Alu::Sub, RESULT, ARG[1]));
    p.if_so(If::Below, RESULT, CONTROL_AT + 2, Place::Drop);

    p.at(Place::Control);
    transport(&mut p, CONTROL_AT);
    fetch(&mut p, CONTROL, 2, Place::GoOn);
    p.op(Op::load(Size::Byte, RESULT, STACK, CONTROL + 1));
    p.op(Op::alu(Alu::And, RESULT, FIN_SYN_RST_ACK));
    p.if_so(If::Equal, RESULT, SYN, Place::Ours);
    p.jump(Op::jump(0), Place::Foreign);

    p.at(Place::Udp);
    look_up(&mut p, 1, ours);
    p.jump(Op::jump(0), Place::Foreign);

    // The protocol stands for the remote's port, and our port is none.
    p.at(Place::ByAddress);
    p.if_so(If::Equal, NUMBER, protocol::ICMP.into(), Place::GoOn);
    p.op(Op::load(Size::Word, RESULT, STACK, IP + 12));
    p.op(Op::store(Size::Word, STACK, KEY, RESULT));
    p.op(Op::be16(NUMBER));
    p.op(Op::store(Size::Half, STACK, PORTS, NUMBER));
    p.op(Op::alu(Alu::Mov, RESULT, 0));
    p.op(Op::store(Size::Half, STACK, PORTS + 2, RESULT));
    p.all(Op::area(AREA, &ours.area));
    find(&mut p, 1, Place::Drop);
    p.jump(Op::jump(0), Place::GoOn);

    p.at(Place::Ours);
    p.op(Op::alu(Alu::And, FLAGS, 0x2000));
    p.if_so(If::Equal, FLAGS, 0, Place::Drop);
    p.op(Op::call(Helper::Time));
    p.op(Op::store(Size::Double, STACK, TIME, RESULT));
    p.all(Op::map(ARG[0], datagrams));
    p.all(stack_address(ARG[1], DATAGRAM));
    p.all(stack_address(ARG[2], TIME));
    p.op(Op::alu(Alu::Mov, ARG[3], 0));
    p.op(Op::call(Helper::MapUpdate));

    p.at(Place::Drop);
    p.op(Op::alu(Alu::Mov, RESULT, DROP));
    p.op(Op::exit());

    // The identification may be that of an older datagram of ours.
    p.at(Place::Foreign);
    p.op(Op::alu(Alu::And, FLAGS, 0x2000));
    p.if_so(If::Equal, FLAGS, 0, Place::GoOn);
    p.all(Op::map(ARG[0], datagrams));
    p.all(stack_address(ARG[1], DATAGRAM));
    p.op(Op::call(Helper::MapDelete));

    p.at(Place::GoOn);
    p.op(Op::alu(Alu::Mov, RESULT, GO_ON));
    p.op(Op::exit());

    p.at(Place::Later);
    p.all(Op::map(ARG[0], datagrams));
    p.all(stack_address(ARG[1], DATAGRAM));
    p.op(Op::call(Helper::MapLookup));
    p.op(Op::jump_if_wide(If::Differs, RESULT, 0, 2));
    p.op(Op::alu(Alu::Mov, RESULT, GO_ON));
    p.op(Op::exit());
    p.op(Op::load(Size::Double, NUMBER, RESULT, 0));
    p.op(Op::call(Helper::Time));
    p.op(Op::alu_reg(Alu::Sub, RESULT, NUMBER));
    p.op(Op::alu(Alu::Shr, RESULT, AGE_SHIFT));
    p.op(Op::jump_if_wide(If::Above, RESULT, AGE, 2));
    p.op(Op::alu(Alu::Mov, RESULT, DROP));
    p.op(Op::exit());
    p.op(Op::alu(Alu::Mov, RESULT, GO_ON));
    p.op(Op::exit());
    p.finish()
}

/// Goes to [`Place::Ours`] where the port is anybody's or the key is there.
fn look_up(p: &mut Draft<Place>, protocol: usize, ours: &Shared) {
    bit(p, PORTS + 2, anybody(protocol));
    p.if_so(If::Differs, RESULT, 0, Place::Ours);
    match ours.kind.filter() {
        Filter::Independent => return,
        Filter::Address => {
            // Whichever port of the remote.
            p.op(Op::alu(Alu::Mov, RESULT, 0));
            p.op(Op::store(Size::Half, STACK, PORTS, RESULT));
        }
        Filter::AddressAndPort => {}
    }
    find(p, protocol, Place::Ours);
}

/// Goes there where the key is.
fn find(p: &mut Draft<Place>, protocol: usize, found: Place) {
    let [key, mixed, half, at] = [ARG[0], ARG[2], ARG[1], ARG[3]];
    p.op(Op::load(Size::Double, key, STACK, KEY));
    p.op(Op::load(Size::Double, half, AREA, 0));
    p.op(Op::alu_reg(Alu::Mov, mixed, key));
    p.op(Op::alu_reg(Alu::Mul, mixed, half));
    p.op(Op::alu_reg(Alu::Mov, half, mixed));
    p.op(Op::alu(Alu::Shr, half, 32));
    p.op(Op::alu_reg(Alu::Xor, mixed, half));
    p.op(Op::load(Size::Double, half, AREA, 8));
    p.op(Op::alu_reg(Alu::Mul, mixed, half));
    for shift in [SHIFTS.0, SHIFTS.1] {
        p.op(Op::alu_reg(Alu::Mov, at, mixed));
        p.op(Op::alu(Alu::Shr, at, i32::try_from(shift).unwrap_or(0)));
        p.op(Op::alu(Alu::And, at, (1 << GROUPS_LOG2) - 1));
        p.op(Op::alu(Alu::Shl, at, bytes(GROUP).ilog2().cast_signed()));
        p.op(Op::alu_reg(Alu::Add, at, AREA));
        p.op(Op::alu(Alu::Add, at, bytes(table(protocol))));
        for slot in 0..GROUP {
            let offset = i16::try_from(bytes(slot)).unwrap_or(0);
            p.op(Op::load(Size::Double, RESULT, at, offset));
            p.jump(Op::jump_if_reg(If::Equal, RESULT, key, 0), found);
        }
    }
}
