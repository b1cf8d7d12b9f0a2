//! The programs: the one that decides which ring a frame goes to, and those that follow it.
//!
//! An entry of the table holds, from the lowest bit on, the number of the flow's last frame in its
//! ring (48 bits), the ring (8), and in which spread that was (8). In one from an earlier spread
//! stands nothing that is still true: since then the first ring got all.

use super::RINGS;
use super::area::{BARRIER, BY_FLOW, CORES, COUNTERS, FLOWS, MODE, TABLE, came, gone, word};
use crate::bpf::op::{Alu, Helper, If, Reg, Size};
use crate::bpf::{Area, Draft, Op};

const RESULT: Reg = Reg(0);
const ARG: [Reg; 5] = [Reg(1), Reg(2), Reg(3), Reg(4), Reg(5)];
const FRAME: Reg = Reg(6);
const AREA: Reg = Reg(7);
/// The ring it is to be.
const RING: Reg = Reg(8);
/// The flow's hash, then its entry.
const FLOW: Reg = Reg(9);
const STACK: Reg = Reg(10);

// `struct __sk_buff`.
const ETHERTYPE: i16 = 16;
const IFINDEX: i16 = 40;
/// `BPF_HDR_START_NET`
const NETWORK: i32 = 1;

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const TCP: i32 = 6;
const UDP: i32 = 17;
/// Where an IPv4 header is put on the stack: its addresses are to lie at a multiple of eight.
const V4: i16 = -44;
const V6: i16 = -48;
/// A factor that spreads its argument's bits upwards (Murmur's).
const SPREAD: i32 = 0x5bd1_e995;

const RING_SHIFT: i32 = 48;
const SPREAD_SHIFT: i32 = 56;
/// Bytes from one ring's counters to the next one's, and from one core's word to the next one's, as
/// shifts.
const COUNTERS_SHIFT: i32 = (COUNTERS * 8).ilog2() as i32;
const WORD_SHIFT: i32 = ((word(1) - word(0)) * 8).ilog2() as i32;
/// A ring is past a frame when so many more than those before it have gone, or all: a frame is
/// counted a little before it is in the ring, and others may overtake it there.
const SLACK: i32 = 2;
/// Stands for the ring of the flow, until its hash is known.
const FLOW_S: i32 = 0xff;
/// What a filter says of a frame that its socket is to have, and of another.
const TAKE: i32 = -1;
const LEAVE: i32 = 0;

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Spread,
    Take,
    Parse,
    Four,
    Ports(i16),
    Entry,
    Choose,
    Known,
    Past,
    Go,
}

/// Where a word of the area lies, in bytes.
fn at(word: usize) -> i16 {
    i16::try_from(word * 8).unwrap_or(0)
}

/// Decides, for a crew of so many rings; takes what is the last one's.
pub(super) fn decide(area: &Area, rings: usize) -> Vec<Op> {
    let mut p = Draft::default();
    p.op(Op::alu_reg(Alu::Mov, FRAME, ARG[0]));
    p.all(Op::area(AREA, area));
    wanted(&mut p, rings);
    p.at(Place::Parse);
    hash(&mut p);
    p.at(Place::Entry);
    p.if_so(If::Differs, RING, FLOW_S, Place::Choose);
    p.op(Op::alu_reg(Alu::Mov, RING, FLOW));
    // Other bits than those that choose the entry.
    p.op(Op::alu(Alu::Shr, RING, 20));
    p.op(Op::alu(Alu::Rem, RING, number(rings)));
    p.at(Place::Choose);
    choose(&mut p);
    core_s_word(&mut p);
    p.op(Op::store(Size::Double, RESULT, at(word(0)), RING));
    verdict(p, rings - 1)
}

/// Takes what was given to this ring.
pub(super) fn follow(area: &Area, ring: usize) -> Vec<Op> {
    let mut p = Draft::default();
    p.all(Op::area(AREA, area));
    core_s_word(&mut p);
    p.op(Op::load(Size::Double, RING, RESULT, at(word(0))));
    verdict(p, ring)
}

/// Ends with what this ring's filter says of a frame for the ring in R8.
fn verdict(mut p: Draft<Place>, own: usize) -> Vec<Op> {
    p.if_so(If::Equal, RING, number(own), Place::Take);
    p.op(Op::alu(Alu::Mov, RESULT, LEAVE));
    p.op(Op::exit());
    p.at(Place::Take);
    p.op(Op::alu(Alu::Mov, RESULT, TAKE));
    p.op(Op::exit());
    p.finish()
}

/// R0: what the core's word lies behind the first core's, from the area on.
fn core_s_word(p: &mut Draft<Place>) {
    p.op(Op::call(Helper::Core));
    p.op(Op::alu(Alu::And, RESULT, number(CORES - 1)));
    p.op(Op::alu(Alu::Shl, RESULT, WORD_SHIFT));
    p.op(Op::alu_reg(Alu::Add, RESULT, AREA));
}

fn number(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(0)
}

/// The ring this frame is for if its flow's order allows: the first, its core's, or its flow's.
/// Where the first gets all and the others have nothing left, that is all there is to do.
fn wanted(p: &mut Draft<Place>, rings: usize) {
    p.op(Op::load(Size::Double, RESULT, AREA, at(MODE)));
    p.op(Op::alu(Alu::And, RESULT, 1));
    p.if_so(If::Differs, RESULT, 0, Place::Spread);
    p.op(Op::alu(Alu::Mov, RING, 0));
    for ring in 1..rings {
        p.op(Op::load(Size::Double, ARG[0], AREA, at(came(ring))));
        p.op(Op::load(Size::Double, ARG[1], AREA, at(gone(ring))));
        p.jump(Op::jump_if_reg(If::Above, ARG[0], ARG[1], 0), Place::Parse);
    }
    p.op(Op::alu(Alu::Mov, RESULT, 1));
    p.op(Op::fetch_add(AREA, at(came(0)), RESULT));
    core_s_word(p);
    p.op(Op::store(Size::Double, RESULT, at(word(0)), RING));
    p.op(Op::alu(Alu::Mov, RESULT, LEAVE));
    p.op(Op::exit());

    p.at(Place::Spread);
    p.op(Op::alu(Alu::Mov, RING, FLOW_S));
    p.op(Op::load(Size::Double, RESULT, AREA, at(BY_FLOW)));
    p.if_so(If::Differs, RESULT, 0, Place::Parse);
    p.op(Op::call(Helper::Core));
    p.op(Op::alu(Alu::Rem, RESULT, number(rings)));
    p.op(Op::alu_reg(Alu::Mov, RING, RESULT));
}

/// Where a ring's counters begin, as if it were the first.
fn counters_of(p: &mut Draft<Place>, to: Reg, ring: Reg) {
    p.op(Op::alu_reg(Alu::Mov, to, ring));
    p.op(Op::alu(Alu::And, to, number(RINGS - 1)));
    p.op(Op::alu(Alu::Shl, to, COUNTERS_SHIFT));
    p.op(Op::alu_reg(Alu::Add, to, AREA));
}

/// What makes a flow: interface, addresses, and ports where every frame of the flow has them.
/// Fragments have none, so they are a flow beside that of the whole datagrams, as for the kernel.
fn hash(p: &mut Draft<Place>) {
    p.op(Op::load(Size::Word, FLOW, FRAME, IFINDEX));
    p.op(Op::load(Size::Word, RESULT, FRAME, ETHERTYPE));
    p.if_so(If::Equal, RESULT, u16::from_ne_bytes(IPV4).into(), Place::Four);
    p.if_so(If::Differs, RESULT, u16::from_ne_bytes(IPV6).into(), Place::Entry);
    fetch(p, V6, 44);
    for word in 0..4 {
        p.op(Op::load(Size::Double, ARG[0], STACK, V6 + 8 + 8 * word));
        mix(p);
    }
    p.op(Op::load(Size::Byte, ARG[0], STACK, V6 + 6));
    ports(p, V6 + 40);

    p.at(Place::Four);
    fetch(p, V4, 24);
    p.op(Op::load(Size::Double, ARG[0], STACK, V4 + 12));
    mix(p);
    p.op(Op::load(Size::Byte, ARG[1], STACK, V4));
    p.op(Op::alu(Alu::And, ARG[1], 15));
    p.if_so(If::Differs, ARG[1], 5, Place::Entry);
    p.op(Op::load(Size::Half, ARG[1], STACK, V4 + 6));
    p.op(Op::be16(ARG[1]));
    // More fragments, or a later one.
    p.op(Op::alu(Alu::And, ARG[1], 0x3fff));
    p.if_so(If::Differs, ARG[1], 0, Place::Entry);
    p.op(Op::load(Size::Byte, ARG[0], STACK, V4 + 9));
    ports(p, V4 + 20);
}

/// Copies the frame's first bytes behind the link header to the stack. A shorter one is of a flow
/// with all else of its interface.
fn fetch(p: &mut Draft<Place>, to: i16, len: i32) {
    p.op(Op::alu_reg(Alu::Mov, ARG[0], FRAME));
    p.op(Op::alu(Alu::Mov, ARG[1], 0));
    p.op(Op::alu_reg(Alu::Mov, ARG[2], STACK));
    p.op(Op::alu(Alu::Add, ARG[2], to.into()));
    p.op(Op::alu(Alu::Mov, ARG[3], len));
    p.op(Op::alu(Alu::Mov, ARG[4], NETWORK));
    p.op(Op::call(Helper::LoadBytesFrom));
    p.if_so(If::Differs, RESULT, 0, Place::Entry);
}

/// The ports into the hash, where the protocol in R1 has some; then on to the entry.
fn ports(p: &mut Draft<Place>, from: i16) {
    p.if_so(If::Equal, ARG[0], TCP, Place::Ports(from));
    p.if_so(If::Differs, ARG[0], UDP, Place::Entry);
    p.at(Place::Ports(from));
    p.op(Op::load(Size::Word, ARG[0], STACK, from));
    mix(p);
    p.jump(Op::jump(0), Place::Entry);
}

fn mix(p: &mut Draft<Place>) {
    p.op(Op::alu_reg(Alu::Add, FLOW, ARG[0]));
    p.op(Op::alu(Alu::Mul, FLOW, SPREAD));
    p.op(Op::alu_reg(Alu::Mov, ARG[0], FLOW));
    p.op(Op::alu(Alu::Shr, ARG[0], 32));
    p.op(Op::alu_reg(Alu::Xor, FLOW, ARG[0]));
}

/// The ring it gets, in R8: the one wanted where the flow's last one is past the flow's last frame.
fn choose(p: &mut Draft<Place>) {
    let [seq, last, counters, done, spread] = ARG;
    p.op(Op::alu(Alu::And, FLOW, number(FLOWS - 1)));
    p.op(Op::alu(Alu::Shl, FLOW, 3));
    p.op(Op::alu(Alu::Add, FLOW, number(TABLE * 8)));
    p.op(Op::alu_reg(Alu::Add, FLOW, AREA));
    p.op(Op::load(Size::Double, seq, FLOW, 0));
    p.op(Op::load(Size::Double, spread, AREA, at(MODE)));
    p.op(Op::alu(Alu::Shr, spread, 1));
    p.op(Op::alu(Alu::And, spread, 0xff));
    p.op(Op::alu_reg(Alu::Mov, last, seq));
    p.op(Op::alu(Alu::Shr, last, SPREAD_SHIFT));
    p.jump(Op::jump_if_reg(If::Equal, last, spread, 0), Place::Known);
    p.op(Op::alu(Alu::Mov, last, 0));
    p.op(Op::load(Size::Double, seq, AREA, at(BARRIER)));
    p.jump(Op::jump(0), Place::Past);

    p.at(Place::Known);
    p.op(Op::alu_reg(Alu::Mov, last, seq));
    p.op(Op::alu(Alu::Shr, last, RING_SHIFT));
    p.op(Op::alu(Alu::And, last, number(RINGS - 1)));
    p.op(Op::alu(Alu::Shl, seq, 64 - RING_SHIFT));
    p.op(Op::alu(Alu::Shr, seq, 64 - RING_SHIFT));

    p.at(Place::Past);
    counters_of(p, counters, last);
    p.op(Op::load(Size::Double, done, counters, at(gone(0))));
    p.op(Op::alu(Alu::Add, seq, SLACK));
    p.jump(Op::jump_if_reg(If::NotBelow, done, seq, 0), Place::Go);
    p.op(Op::load(Size::Double, seq, counters, at(came(0))));
    p.jump(Op::jump_if_reg(If::NotBelow, done, seq, 0), Place::Go);
    p.op(Op::alu_reg(Alu::Mov, RING, last));

    p.at(Place::Go);
    counters_of(p, counters, RING);
    p.op(Op::alu(Alu::Mov, RESULT, 1));
    p.op(Op::fetch_add(counters, at(came(0)), RESULT));
    p.op(Op::alu(Alu::Add, RESULT, 1));
    p.op(Op::alu_reg(Alu::Mov, last, RING));
    p.op(Op::alu(Alu::Shl, last, RING_SHIFT));
    p.op(Op::alu_reg(Alu::Or, RESULT, last));
    p.op(Op::alu(Alu::Shl, spread, SPREAD_SHIFT));
    p.op(Op::alu_reg(Alu::Or, RESULT, spread));
    p.op(Op::store(Size::Double, FLOW, 0, RESULT));
}
