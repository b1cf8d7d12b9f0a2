//! The program at an interface's ingress of the host, for ends of IPv4: a VXLAN packet of one number and UDP port, for the
//! host itself, goes on only where it comes from a member, by an interface that leads there; all else goes on.
//!
//! The kernel's socket of VXLAN takes packets to any address of the host and by any interface, so the
//! route of the host says whether one is for the host, and the program is at all interfaces. A first
//! fragment too short to show the number counts as ours, whatever padding is behind it: nobody cuts there
//! but who hides something. Of frames with tags `frame` tells.

use sys::bpf::op::{Alu, Helper, If, Reg, Size};
use sys::bpf::{Area, Draft, KeySet, Op};
use wire::{ethertype, ipv4::protocol};

use super::frame::{
    AREA, ARG, BY, Begin, DROP, FOREIGN, FRAME, FROM_IP, GO_ON, IFINDEX, Judged, LAST, RESULT,
    SENT_ON, STACK, Target, admit, at, begin, copy, stack_address,
};

const TRANSPORT: Reg = Reg(7);
const FLAGS: Reg = Reg(8);

// What is kept on the stack.
const IP: i16 = -24;
const UDP: i16 = -32;
const VXLAN: i16 = -40;
const FREE: i16 = -48;
/// `struct bpf_fib_lookup` (linux/bpf.h).
const ROUTE: i16 = -112;
const ROUTE_LEN: i16 = 64;
const KEY: i16 = ROUTE - 8;
const ROUTE_INGRESS: i16 = ROUTE + 8;
const ROUTE_SOURCE: i16 = ROUTE + 16;
const ROUTE_DESTINATION: i16 = ROUTE + 32;

/// `AF_INET`
const INET: i32 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Ip,
    Tagged,
    Whole,
    Ours,
    Clipped,
    Foreign,
    GoOn,
}

/// The program.
pub(super) fn program(target: Target, members: &KeySet, area: &Area) -> Vec<Op> {
    let mut p = Draft::default();
    let places = Begin { ip: Place::Ip, tagged: Place::Tagged, go_on: Place::GoOn };
    begin(&mut p, ethertype::IPV4, FREE, places);
    p.op(Op::alu(Alu::Mov, ARG[1], 0));
    fetch(&mut p, IP, 20, Place::GoOn);
    p.op(Op::load(Size::Byte, RESULT, STACK, IP + 9));
    p.if_so(If::Differs, RESULT, protocol::UDP.into(), Place::GoOn);
    p.op(Op::load(Size::Half, FLAGS, STACK, IP + 6));
    p.op(Op::be16(FLAGS));
    p.op(Op::alu_reg(Alu::Mov, RESULT, FLAGS));
    p.op(Op::alu(Alu::And, RESULT, 0x1fff));
    // Of later fragments nothing is made without the first.
    p.if_so(If::Differs, RESULT, 0, Place::GoOn);
    p.op(Op::load(Size::Byte, TRANSPORT, STACK, IP));
    p.op(Op::alu(Alu::And, TRANSPORT, 15));
    p.op(Op::alu(Alu::Shl, TRANSPORT, 2));
    p.op(Op::alu_reg(Alu::Mov, ARG[1], TRANSPORT));
    fetch(&mut p, UDP, 8, Place::GoOn);
    p.op(Op::load(Size::Half, RESULT, STACK, UDP + 2));
    p.op(Op::be16(RESULT));
    p.if_so(If::Differs, RESULT, target.port.into(), Place::GoOn);

    // What is behind the end of a fragment is not of the packet.
    p.op(Op::alu_reg(Alu::Mov, RESULT, FLAGS));
    p.op(Op::alu(Alu::And, RESULT, 0x2000));
    p.if_so(If::Equal, RESULT, 0, Place::Whole);
    p.op(Op::load(Size::Half, RESULT, STACK, IP + 2));
    p.op(Op::be16(RESULT));
    p.op(Op::alu_reg(Alu::Sub, RESULT, TRANSPORT));
    p.if_so(If::Below, RESULT, 16, Place::Ours);

    p.at(Place::Whole);
    p.op(Op::alu_reg(Alu::Mov, ARG[1], TRANSPORT));
    p.op(Op::alu(Alu::Add, ARG[1], 8));
    fetch(&mut p, VXLAN, 8, Place::Clipped);
    let [_, a, b, c] = target.vni.to_be_bytes();
    p.op(Op::load(Size::Word, RESULT, STACK, VXLAN + 4));
    p.op(Op::alu(Alu::And, RESULT, i32::from_ne_bytes([255, 255, 255, 0])));
    p.if_so(If::Differs, RESULT, i32::from_ne_bytes([a, b, c, 0]), Place::GoOn);

    p.jump(Op::jump(0), Place::Ours);

    p.at(Place::Clipped);
    p.op(Op::alu(Alu::And, FLAGS, 0x2000));
    p.if_so(If::Equal, FLAGS, 0, Place::GoOn);

    p.at(Place::Ours);
    let judged = Judged { key: KEY, source: IP + 12, len: 4 };
    admit(&mut p, members, judged, (Place::Foreign, Place::GoOn));
    p.at(Place::Foreign);
    is_for_the_host(&mut p);
    p.all(Op::area(AREA, area));
    p.op(Op::alu(Alu::Mov, RESULT, 1));
    p.op(Op::fetch_add(AREA, at(FOREIGN), RESULT));
    p.op(Op::load(Size::Word, RESULT, STACK, IP + 12));
    p.op(Op::store(Size::Double, AREA, at(LAST), RESULT));
    p.op(Op::load(Size::Word, RESULT, FRAME, IFINDEX));
    p.op(Op::store(Size::Double, AREA, at(BY), RESULT));
    p.op(Op::alu(Alu::Mov, RESULT, DROP));
    p.op(Op::exit());

    p.at(Place::GoOn);
    p.op(Op::alu(Alu::Mov, RESULT, GO_ON));
    p.op(Op::exit());
    p.finish()
}

/// Goes on where the host would send the packet on.
fn is_for_the_host(p: &mut Draft<Place>) {
    p.op(Op::alu(Alu::Mov, RESULT, 0));
    for word in 0..ROUTE_LEN / 8 {
        p.op(Op::store(Size::Double, STACK, ROUTE + 8 * word, RESULT));
    }
    p.op(Op::alu(Alu::Mov, RESULT, INET));
    p.op(Op::store(Size::Byte, STACK, ROUTE, RESULT));
    p.op(Op::load(Size::Word, RESULT, FRAME, IFINDEX));
    p.op(Op::store(Size::Word, STACK, ROUTE_INGRESS, RESULT));
    for (from, to) in [(IP + 12, ROUTE_SOURCE), (IP + 16, ROUTE_DESTINATION)] {
        p.op(Op::load(Size::Word, RESULT, STACK, from));
        p.op(Op::store(Size::Word, STACK, to, RESULT));
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

/// Copies `len` bytes from the offset in R2, counted from the IP header, to the stack.
fn fetch(p: &mut Draft<Place>, to: i16, len: i32, short: Place) {
    copy(p, (to, len), FROM_IP, short);
}
