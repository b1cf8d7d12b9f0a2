//! What the host's stack must not see: a BPF program at the interface's ingress (or an nftables
//! table, see [`Means`]), behind the packet sockets and before everything else, that drops TCP and
//! UDP to one address and one block of its ports. All else goes on to whatever other programs there
//! are.
//!
//! Only the first fragment of a datagram has ports, so the program remembers whose later ones are
//! (1024 datagrams, 30 s); those that overtake their first reach the stack, which without a first
//! drops them in silence. Nothing is pinned: it ends with the process, however that ends.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

use ns::nft::{self, Table};
use sys::bpf::op::{Alu, Helper, If, Reg, Size};
use sys::bpf::{Attached, Draft, Kind, LruMap, Op, Program};
use wire::{ethertype, ipv4::protocol};

use super::PortBlock;

const PROGRAM: &str = "uplink_silence";
const MAP: &str = "uplink_datagram";
/// Datagrams whose later fragments are known.
const DATAGRAMS: u32 = 1024;
/// Lifetime of such knowledge, in units of 2^30 nanoseconds.
const AGE_SHIFT: i32 = 30;
const AGE: i32 = 28;

const RESULT: Reg = Reg(0);
const ARG: [Reg; 4] = [Reg(1), Reg(2), Reg(3), Reg(4)];
const FRAME: Reg = Reg(6);
const NUMBER: Reg = Reg(7);
const FLAGS: Reg = Reg(8);
const STACK: Reg = Reg(10);

// `struct __sk_buff`.
const ETHERTYPE: i16 = 16;
const VLAN_PRESENT: i16 = 20;
const VLAN_TAG: i16 = 24;

// What is kept on the stack.
const IP: i16 = -24;
const PORTS: i16 = -32;
/// Source, identification, protocol: which datagram a fragment is of.
const DATAGRAM: i16 = -40;
const TIME: i16 = -48;

/// The header begins here in a frame.
const IP_AT: i32 = 14;

/// `TCX_NEXT`: the other programs, then the stack.
const GO_ON: i32 = -1;
/// `TCX_DROP`
const DROP: i32 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Untagged,
    Transport,
    Later,
    Foreign,
    Drop,
    GoOn,
}

/// Copies `len` bytes of the frame from the offset in R2 to the stack; what is too short for
/// that is not ours.
fn fetch(p: &mut Draft<Place>, to: i16, len: i32) {
    p.op(Op::alu_reg(Alu::Mov, ARG[0], FRAME));
    p.all(stack_address(ARG[2], to));
    p.op(Op::alu(Alu::Mov, ARG[3], len));
    p.op(Op::call(Helper::LoadBytes));
    p.if_so(If::Differs, RESULT, 0, Place::GoOn);
}

fn stack_address(reg: Reg, at: i16) -> [Op; 2] {
    [Op::alu_reg(Alu::Mov, reg, STACK), Op::alu(Alu::Add, reg, at.into())]
}

/// A number of the network as it lies in memory, as a comparison reads it.
fn raw(bytes: [u8; 4]) -> i32 {
    i32::from_ne_bytes(bytes)
}

fn program(address: Ipv4Addr, block: PortBlock, datagrams: &LruMap) -> Vec<Op> {
    let mut p = Draft::default();
    p.op(Op::alu_reg(Alu::Mov, FRAME, ARG[0]));
    p.op(Op::load(Size::Word, RESULT, FRAME, ETHERTYPE));
    let [high, low] = ethertype::IPV4.to_be_bytes();
    p.if_so(If::Differs, RESULT, u16::from_ne_bytes([high, low]).into(), Place::GoOn);
    // A tag that names a VLAN makes the frame somebody else's.
    p.op(Op::load(Size::Word, RESULT, FRAME, VLAN_PRESENT));
    p.if_so(If::Equal, RESULT, 0, Place::Untagged);
    p.op(Op::load(Size::Word, RESULT, FRAME, VLAN_TAG));
    p.op(Op::alu(Alu::And, RESULT, 0xfff));
    p.if_so(If::Differs, RESULT, 0, Place::GoOn);

    p.at(Place::Untagged);
    p.op(Op::alu(Alu::Mov, ARG[1], IP_AT));
    fetch(&mut p, IP, 20);
    p.op(Op::load(Size::Word, RESULT, STACK, IP + 16));
    p.if_so(If::Differs, RESULT, raw(address.octets()), Place::GoOn);
    p.op(Op::load(Size::Byte, NUMBER, STACK, IP + 9));
    p.if_so(If::Equal, NUMBER, protocol::TCP.into(), Place::Transport);
    p.if_so(If::Differs, NUMBER, protocol::UDP.into(), Place::GoOn);

    p.at(Place::Transport);
    p.op(Op::load(Size::Word, RESULT, STACK, IP + 12));
    p.op(Op::store(Size::Word, STACK, DATAGRAM, RESULT));
    p.op(Op::load(Size::Half, RESULT, STACK, IP + 4));
    p.op(Op::store(Size::Half, STACK, DATAGRAM + 4, RESULT));
    p.op(Op::store(Size::Half, STACK, DATAGRAM + 6, NUMBER));
    p.op(Op::load(Size::Half, FLAGS, STACK, IP + 6));
    p.op(Op::be16(FLAGS));
    p.op(Op::alu_reg(Alu::Mov, RESULT, FLAGS));
    p.op(Op::alu(Alu::And, RESULT, 0x1fff));
    p.if_so(If::Differs, RESULT, 0, Place::Later);
    // The ports, behind a header of four bytes times the low half of its first.
    p.op(Op::load(Size::Byte, ARG[1], STACK, IP));
    p.op(Op::alu(Alu::And, ARG[1], 15));
    p.op(Op::alu(Alu::Shl, ARG[1], 2));
    p.op(Op::alu(Alu::Add, ARG[1], IP_AT));
    fetch(&mut p, PORTS, 4);
    p.op(Op::load(Size::Half, RESULT, STACK, PORTS + 2));
    p.op(Op::be16(RESULT));
    p.if_so(If::Below, RESULT, block.first().into(), Place::Foreign);
    p.if_so(If::Above, RESULT, block.last().into(), Place::Foreign);
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

/// How the stack is kept silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    /// A BPF program.
    Program,
    /// An nftables table, where the kernel has no tcx or lets us load no program.
    Table,
}

impl Means {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Program => "tcx",
            Self::Table => "an nftables table",
        }
    }
}

/// The drop, as long as this lives.
pub(crate) enum Silence {
    Program(#[expect(dead_code, reason = "held, not read")] Attached),
    Table(#[expect(dead_code, reason = "held, not read")] Table),
}

impl Silence {
    /// How it does it.
    pub(crate) fn means(&self) -> Means {
        match self {
            Self::Program(_) => Means::Program,
            Self::Table(_) => Means::Table,
        }
    }
}

/// What is silenced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) index: u32,
    pub(crate) interface: &'a str,
    pub(crate) address: Ipv4Addr,
    pub(crate) block: PortBlock,
}

/// By what means the stack of this kernel can be kept silent: found out by loading the program.
pub(crate) fn means() -> Means {
    let Ok(datagrams) = LruMap::new(MAP, 8, 8, DATAGRAMS) else { return Means::Table };
    let block = PortBlock::default();
    match Program::load(Kind::Ingress, PROGRAM, &program(Ipv4Addr::LOCALHOST, block, &datagrams)) {
        Ok(loaded) if loaded.can_attach() => Means::Program,
        _ => Means::Table,
    }
}

/// Silences the stack of a namespace.
///
/// # Errors
/// What the kernel says to both means, where neither is to be had.
pub(crate) fn begin(netns: BorrowedFd<'_>, target: Target<'_>) -> io::Result<Silence> {
    let Target { index, interface, address, block } = target;
    let by_program = || {
        let datagrams = LruMap::new(MAP, 8, 8, DATAGRAMS)?;
        let program = Program::load(Kind::Ingress, PROGRAM, &program(address, block, &datagrams))?;
        sys::netns::inside(netns, || program.attach_ingress(index))
    };
    let refused = match by_program() {
        Ok(attached) => return Ok(Silence::Program(attached)),
        Err(refused) => refused,
    };
    let name = format!("uswitch-{}-{index}-{address}-{block}", std::process::id());
    match nft::drop_at_ingress(netns, &name, interface, address, &block.range()) {
        Ok(table) => Ok(Silence::Table(table)),
        Err(error) => Err(io::Error::new(error.kind(), format!("{refused}; {error}"))),
    }
}
