//! The same for ends of IPv6 (`program`): a VXLAN packet of one number and UDP port, for the host itself, goes
//! on only where it comes from a member.
//!
//! The stack passes over extension headers to find UDP, so the program does: options, routing headers,
//! fragments. A packet that it cannot follow, of more headers than it walks or cut within one, may be ours
//! behind them and counts as ours: a member's goes on, another's does not, whatever port it has. A first
//! fragment that does not show the number counts as ours too. AH and ESP go on: they have another judge.

use sys::bpf::op::{Alu, Helper, If, Reg, Size};
use sys::bpf::{Area, Draft, KeySet, Op};
use wire::{ethertype, ipv4::protocol};

use super::frame::{
    AREA, ARG, BY, Begin, DROP, FOREIGN, FRAME, FROM_IP, GO_ON, IFINDEX, Judged, LAST, RESULT,
    SENT_ON, STACK, Target, admit, at, begin, copy, stack_address,
};

/// Extension headers that are walked; nobody sends so many.
const HEADERS: u8 = 8;

const NEXT: Reg = Reg(7);
const OFFSET: Reg = Reg(8);
/// Whether it is a first fragment; the shared memory is looked for when that is known.
const CUT: Reg = AREA;

// What is kept on the stack.
const IP: i16 = -40;
const PAYLOAD: i16 = IP + 4;
const SOURCE: i16 = IP + 8;
const DESTINATION: i16 = IP + 24;
/// The beginning of an extension header, of UDP, of VXLAN, an inner tag.
const HEAD: i16 = -48;
/// `struct bpf_fib_lookup` (linux/bpf.h).
const ROUTE: i16 = -112;
const ROUTE_LEN: i16 = 64;
const KEY: i16 = ROUTE - 24;
const ROUTE_INGRESS: i16 = ROUTE + 8;
const ROUTE_SOURCE: i16 = ROUTE + 16;
const ROUTE_DESTINATION: i16 = ROUTE + 32;
/// `AF_INET6`
const INET6: i32 = 10;

// Next headers (RFC 8200, section 4.1).
const HOP_BY_HOP: i32 = 0;
const ROUTING: i32 = 43;
const FRAGMENT: i32 = 44;
const DESTINATION_OPTIONS: i32 = 60;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Ip,
    Tagged,
    /// The next header is the one of this number.
    Header(u8),
    Options(u8),
    Fragment(u8),
    Udp,
    /// What is to be read is of the packet, as far as its length says.
    Within(u8),
    Whole,
    Clipped,
    Ours,
    Foreign,
    GoOn,
}

/// The program.
pub(super) fn program(target: Target, members: &KeySet, area: &Area) -> Vec<Op> {
    let mut p = Draft::default();
    let places = Begin { ip: Place::Ip, tagged: Place::Tagged, go_on: Place::GoOn };
    begin(&mut p, ethertype::IPV6, HEAD, places);
    p.op(Op::alu(Alu::Mov, ARG[1], 0));
    copy(&mut p, (IP, 40), FROM_IP, Place::GoOn);
    p.op(Op::load(Size::Byte, NEXT, STACK, IP + 6));
    p.op(Op::alu(Alu::Mov, OFFSET, 40));
    p.op(Op::alu(Alu::Mov, CUT, 0));
    for number in 0..HEADERS {
        header(&mut p, number);
    }
    p.at(Place::Header(HEADERS));
    p.if_so(If::Equal, NEXT, protocol::UDP.into(), Place::Udp);
    for further in [HOP_BY_HOP, DESTINATION_OPTIONS, ROUTING, FRAGMENT] {
        p.if_so(If::Equal, NEXT, further, Place::Ours);
    }
    p.jump(Op::jump(0), Place::GoOn);

    p.at(Place::Udp);
    fetch(&mut p, 2 * HEADERS, Place::Ours);
    p.op(Op::load(Size::Half, RESULT, STACK, HEAD + 2));
    p.op(Op::be16(RESULT));
    p.if_so(If::Differs, RESULT, target.port.into(), Place::GoOn);
    // A fragment may end before the number.
    p.if_so(If::Equal, CUT, 0, Place::Whole);
    p.op(Op::load(Size::Half, RESULT, STACK, PAYLOAD));
    p.op(Op::be16(RESULT));
    p.op(Op::alu(Alu::Add, RESULT, 40));
    p.op(Op::alu_reg(Alu::Sub, RESULT, OFFSET));
    p.if_so(If::Below, RESULT, 16, Place::Ours);

    p.at(Place::Whole);
    p.op(Op::alu(Alu::Add, OFFSET, 8));
    fetch(&mut p, 2 * HEADERS + 1, Place::Clipped);
    let [_, a, b, c] = target.vni.to_be_bytes();
    p.op(Op::load(Size::Word, RESULT, STACK, HEAD + 4));
    p.op(Op::alu(Alu::And, RESULT, i32::from_ne_bytes([255, 255, 255, 0])));
    p.if_so(If::Differs, RESULT, i32::from_ne_bytes([a, b, c, 0]), Place::GoOn);
    p.jump(Op::jump(0), Place::Ours);

    p.at(Place::Clipped);
    p.if_so(If::Equal, CUT, 0, Place::GoOn);

    p.at(Place::Ours);
    let judged = Judged { key: KEY, source: SOURCE, len: 16 };
    admit(&mut p, members, judged, (Place::Foreign, Place::GoOn));
    p.at(Place::Foreign);
    is_for_the_host(&mut p);
    p.all(Op::area(AREA, area));
    p.op(Op::alu(Alu::Mov, RESULT, 1));
    p.op(Op::fetch_add(AREA, at(FOREIGN), RESULT));
    for (from, word) in [(SOURCE, LAST), (SOURCE + 8, LAST + 1)] {
        p.op(Op::load(Size::Double, RESULT, STACK, from));
        p.op(Op::store(Size::Double, AREA, at(word), RESULT));
    }
    p.op(Op::load(Size::Word, RESULT, FRAME, IFINDEX));
    p.op(Op::store(Size::Double, AREA, at(BY), RESULT));
    p.op(Op::alu(Alu::Mov, RESULT, DROP));
    p.op(Op::exit());

    p.at(Place::GoOn);
    p.op(Op::alu(Alu::Mov, RESULT, GO_ON));
    p.op(Op::exit());
    p.finish()
}

/// Passes over one header, if it is one of those that are passed over.
fn header(p: &mut Draft<Place>, number: u8) {
    p.at(Place::Header(number));
    p.if_so(If::Equal, NEXT, protocol::UDP.into(), Place::Udp);
    p.if_so(If::Equal, NEXT, FRAGMENT, Place::Fragment(number));
    for options in [HOP_BY_HOP, DESTINATION_OPTIONS, ROUTING] {
        p.if_so(If::Equal, NEXT, options, Place::Options(number));
    }
    p.jump(Op::jump(0), Place::GoOn);

    // Its length counts units of eight bytes behind the first (RFC 8200, section 4.3).
    p.at(Place::Options(number));
    fetch(p, 2 * number, Place::Ours);
    p.op(Op::load(Size::Byte, NEXT, STACK, HEAD));
    p.op(Op::load(Size::Byte, RESULT, STACK, HEAD + 1));
    p.op(Op::alu(Alu::Add, RESULT, 1));
    p.op(Op::alu(Alu::Shl, RESULT, 3));
    p.op(Op::alu_reg(Alu::Add, OFFSET, RESULT));
    p.jump(Op::jump(0), Place::Header(number + 1));

    p.at(Place::Fragment(number));
    fetch(p, 2 * number + 1, Place::Ours);
    p.op(Op::load(Size::Half, RESULT, STACK, HEAD + 2));
    p.op(Op::be16(RESULT));
    p.op(Op::alu_reg(Alu::Mov, ARG[0], RESULT));
    p.op(Op::alu(Alu::And, ARG[0], 0xfff8));
    // Of later fragments nothing is made without the first.
    p.if_so(If::Differs, ARG[0], 0, Place::GoOn);
    p.op(Op::alu(Alu::And, RESULT, 1));
    p.op(Op::alu_reg(Alu::Or, CUT, RESULT));
    p.op(Op::load(Size::Byte, NEXT, STACK, HEAD));
    p.op(Op::alu(Alu::Add, OFFSET, 8));
}

/// Goes on where the host would send the packet on.
fn is_for_the_host(p: &mut Draft<Place>) {
    p.op(Op::alu(Alu::Mov, RESULT, 0));
    for word in 0..ROUTE_LEN / 8 {
        p.op(Op::store(Size::Double, STACK, ROUTE + 8 * word, RESULT));
    }
    p.op(Op::alu(Alu::Mov, RESULT, INET6));
    p.op(Op::store(Size::Byte, STACK, ROUTE, RESULT));
    p.op(Op::load(Size::Word, RESULT, FRAME, IFINDEX));
    p.op(Op::store(Size::Word, STACK, ROUTE_INGRESS, RESULT));
    for (from, to) in [(SOURCE, ROUTE_SOURCE), (DESTINATION, ROUTE_DESTINATION)] {
        for half in [0, 8] {
            p.op(Op::load(Size::Double, RESULT, STACK, from + half));
            p.op(Op::store(Size::Double, STACK, to + half, RESULT));
        }
    }
    p.op(Op::alu_reg(Alu::Mov, ARG[0], FRAME));
    p.all(stack_address(ARG[1], ROUTE));
    p.op(Op::alu(Alu::Mov, ARG[2], ROUTE_LEN.into()));
    p.op(Op::alu(Alu::Mov, ARG[3], 0));
    p.op(Op::call(Helper::FibLookup));
    for said in SENT_ON {
        p.if_so(If::Equal, RESULT, said, Place::GoOn);
    }
}

/// Copies the eight bytes at OFFSET, counted from the IP header, to the stack. What is behind the end of the
/// packet is not of it, and the stack cuts it off; a length of 0 stands for what no option here has to say
/// (RFC 2675), and is none of a fragment's.
fn fetch(p: &mut Draft<Place>, number: u8, short: Place) {
    p.op(Op::load(Size::Half, RESULT, STACK, PAYLOAD));
    p.op(Op::be16(RESULT));
    p.if_so(If::Equal, RESULT, 0, Place::Within(number));
    p.op(Op::alu(Alu::Add, RESULT, 40));
    p.op(Op::alu_reg(Alu::Sub, RESULT, OFFSET));
    // Below zero counts as a large number.
    p.if_so(If::Above, RESULT, i32::from(u16::MAX), short);
    p.if_so(If::Below, RESULT, 8, short);
    p.at(Place::Within(number));
    p.op(Op::alu_reg(Alu::Mov, ARG[1], OFFSET));
    copy(p, (HEAD, 8), FROM_IP, short);
}
