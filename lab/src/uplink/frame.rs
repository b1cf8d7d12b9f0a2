//! How the programs at the uplink read a frame, and the memory of [`super::ours`]: registers, places on
//! the stack, and the few steps that they share. Pure.

use sys::bpf::op::{Alu, Helper, If, Reg, Size};
use sys::bpf::{Draft, Op};

use super::ours::{REMOTES, Shared, held};

pub(super) const RESULT: Reg = Reg(0);
pub(super) const ARG: [Reg; 5] = [Reg(1), Reg(2), Reg(3), Reg(4), Reg(5)];
pub(super) const FRAME: Reg = Reg(6);
/// The number of the packet's protocol.
pub(super) const NUMBER: Reg = Reg(7);
pub(super) const FLAGS: Reg = Reg(8);
pub(super) const AREA: Reg = Reg(9);
pub(super) const STACK: Reg = Reg(10);

// `struct __sk_buff`.
pub(super) const ETHERTYPE: i16 = 16;
pub(super) const VLAN_PRESENT: i16 = 20;
pub(super) const VLAN_TAG: i16 = 24;

// What is kept on the stack.
pub(super) const IP: i16 = -24;
/// Source, its port, our port: a key of `ours`.
pub(super) const KEY: i16 = -32;
pub(super) const PORTS: i16 = KEY + 4;

/// The header begins here in a frame.
pub(super) const IP_AT: i32 = 14;

/// Copies `len` bytes of the frame from the offset in R2 to the stack; a frame too short for that goes
/// elsewhere.
pub(super) fn fetch<P: PartialEq>(p: &mut Draft<P>, to: i16, len: i32, short: P) {
    p.op(Op::alu_reg(Alu::Mov, ARG[0], FRAME));
    p.all(stack_address(ARG[2], to));
    p.op(Op::alu(Alu::Mov, ARG[3], len));
    p.op(Op::call(Helper::LoadBytes));
    p.if_so(If::Differs, RESULT, 0, short);
}

pub(super) fn stack_address(reg: Reg, at: i16) -> [Op; 2] {
    [Op::alu_reg(Alu::Mov, reg, STACK), Op::alu(Alu::Add, reg, at.into())]
}

/// A number of the network as it lies in memory, as a comparison reads it.
pub(super) fn raw(bytes: [u8; 4]) -> i32 {
    i32::from_ne_bytes(bytes)
}

/// A tag that names a VLAN makes the frame somebody else's.
pub(super) fn untagged<P: PartialEq>(p: &mut Draft<P>, here: P, elsewhere: P) {
    p.op(Op::load(Size::Word, RESULT, FRAME, VLAN_PRESENT));
    p.if_so(If::Equal, RESULT, 0, here);
    p.op(Op::load(Size::Word, RESULT, FRAME, VLAN_TAG));
    p.op(Op::alu(Alu::And, RESULT, 0xfff));
    p.if_so(If::Differs, RESULT, 0, elsewhere);
}

/// R2: where the transport header, or what lies so far into it, begins in the frame: behind a
/// header of four bytes times the low half of its first, which is on the stack.
pub(super) fn transport<P: PartialEq>(p: &mut Draft<P>, into: i32) {
    p.op(Op::load(Size::Byte, ARG[1], STACK, IP));
    p.op(Op::alu(Alu::And, ARG[1], 15));
    p.op(Op::alu(Alu::Shl, ARG[1], 2));
    p.op(Op::alu(Alu::Add, ARG[1], IP_AT + into));
}

/// R0: a port that lies on the stack.
pub(super) fn port<P: PartialEq>(p: &mut Draft<P>, at: i16) {
    p.op(Op::load(Size::Half, RESULT, STACK, at));
    p.op(Op::be16(RESULT));
    // What the verifier does not know by itself.
    p.op(Op::alu(Alu::And, RESULT, 0xffff));
}

/// Words of the area, as bytes.
pub(super) fn bytes(words: usize) -> i32 {
    i32::try_from(words * 8).unwrap_or(i32::MAX)
}

/// R0: the bit of a port on the stack in the set that begins at this word.
pub(super) fn bit<P: PartialEq>(p: &mut Draft<P>, at: i16, set: usize) {
    p.op(Op::alu_reg(Alu::Mov, ARG[1], AREA));
    bit_of(p, at, set);
}

/// R0: whether a port on the stack is held, of a protocol.
pub(super) fn is_held<P: PartialEq>(p: &mut Draft<P>, at: i16, protocol: usize, ours: &Shared) {
    p.all(Op::area(ARG[1], &ours.held));
    bit_of(p, at, held(protocol));
}

/// R0: whether something that comes from an address on the stack, by the protocol in R7, may be ours: the
/// bit that they share with few others.
pub(super) fn is_remote<P: PartialEq>(p: &mut Draft<P>, at: i16, ours: &Shared) {
    let (half, first) = (ARG[0], PORTS + 2);
    p.op(Op::load(Size::Word, RESULT, STACK, at));
    p.op(Op::alu_reg(Alu::Mov, half, RESULT));
    p.op(Op::alu(Alu::Shr, half, 16));
    p.op(Op::alu_reg(Alu::Xor, RESULT, half));
    p.op(Op::store(Size::Half, STACK, first, RESULT));
    p.op(Op::load(Size::Byte, RESULT, STACK, first));
    p.op(Op::alu_reg(Alu::Xor, RESULT, NUMBER));
    p.op(Op::store(Size::Byte, STACK, first, RESULT));
    p.all(Op::area(ARG[1], &ours.held));
    bit_of(p, first, REMOTES);
}

/// R0: the bit of a port on the stack, of the memory that R2 points to.
fn bit_of<P: PartialEq>(p: &mut Draft<P>, at: i16, set: usize) {
    port(p, at);
    p.op(Op::alu_reg(Alu::Mov, ARG[0], RESULT));
    p.op(Op::alu(Alu::Shr, ARG[0], 6));
    p.op(Op::alu(Alu::Shl, ARG[0], 3));
    p.op(Op::alu_reg(Alu::Add, ARG[0], ARG[1]));
    p.op(Op::alu(Alu::Add, ARG[0], bytes(set)));
    p.op(Op::load(Size::Double, ARG[0], ARG[0], 0));
    p.op(Op::alu(Alu::And, RESULT, 63));
    p.op(Op::alu_reg(Alu::Shr, ARG[0], RESULT));
    p.op(Op::alu(Alu::And, ARG[0], 1));
    p.op(Op::alu_reg(Alu::Mov, RESULT, ARG[0]));
}
