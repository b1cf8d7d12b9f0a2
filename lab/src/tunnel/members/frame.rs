//! What the programs of both families share: registers, the kernel's numbers, how a packet is told from what
//! is none, how bytes are had from it.

use sys::bpf::op::{Alu, Helper, If, Reg, Size};
use sys::bpf::{Draft, KeySet, Op};
use wire::ethertype;

/// Words of the memory shared with a program.
pub(super) const WORDS: usize = 4;
/// Packets that were dropped.
pub(super) const FOREIGN: usize = 0;
/// Where the last one of them came from, as it lies in a packet: one word of IPv4, two of IPv6, which two
/// packets at the same moment may mix.
pub(super) const LAST: usize = 1;
/// The interface it came in by.
pub(super) const BY: usize = 3;

pub(super) const RESULT: Reg = Reg(0);
pub(super) const ARG: [Reg; 5] = [Reg(1), Reg(2), Reg(3), Reg(4), Reg(5)];
pub(super) const FRAME: Reg = Reg(6);
pub(super) const AREA: Reg = Reg(9);
pub(super) const STACK: Reg = Reg(10);

// `struct __sk_buff`.
const PACKET_TYPE: i16 = 4;
const ETHERTYPE: i16 = 16;
const VLAN_TAG: i16 = 24;
pub(super) const IFINDEX: i16 = 40;
/// `PACKET_OTHERHOST` (linux/if_packet.h): the stack drops it anyway.
const OTHER_HOST: i32 = 3;

/// `BPF_HDR_START_MAC`, and where the control information of a tag is that the kernel has left in.
const FROM_MAC: i32 = 0;
const INNER_TAG: i32 = 14;
/// The VLAN of a tag.
const VID: i32 = 0x0fff;
/// Groups that stay on their link, 01:80:c2:00:00:00 to 0f (IEEE 802.1Q table 8-1): what of an address
/// tells them, as a program has it.
const LINK_LOCAL: [u8; 4] = [0x01, 0x80, 0xc2, 0x00];
const NO_OTHER: [u8; 2] = [0xff, 0xf0];

/// `BPF_HDR_START_NET`: there are interfaces without an Ethernet header.
pub(super) const FROM_IP: i32 = 1;
/// What `bpf_fib_lookup` says of packets that would be sent on: `BPF_FIB_LKUP_RET_SUCCESS`,
/// `…_UNSUPP_LWT`, `…_NO_NEIGH`, `…_FRAG_NEEDED`.
pub(super) const SENT_ON: [i32; 4] = [0, 6, 7, 8];

/// `TCX_NEXT`
pub(super) const GO_ON: i32 = -1;
/// `TCX_DROP`
pub(super) const DROP: i32 = 2;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) vni: u32,
    pub(super) port: u16,
}

/// Places of a program's beginning.
#[derive(Clone, Copy)]
pub(super) struct Begin<P> {
    /// Where it goes on with a packet of IP for this host: what [`begin`] ends with.
    pub(super) ip: P,
    /// Where it judges a frame whose tag the kernel has left in.
    pub(super) tagged: P,
    /// Where all goes that is not looked at.
    pub(super) go_on: P,
}

/// What each program begins with: only a packet of this Ethernet type that is for this host by its MAC
/// address gets past it. Nobody tags twice for no VLAN, which the stack strips behind the program
/// (`__netif_receive_skb_core`, check_vlan_id): such a frame goes no further. Two bytes of the stack at
/// `free` are written to.
pub(super) fn begin<P: Copy + PartialEq>(
    p: &mut Draft<P>,
    family: u16,
    free: i16,
    Begin { ip, tagged, go_on }: Begin<P>,
) {
    p.op(Op::alu_reg(Alu::Mov, FRAME, ARG[0]));
    p.op(Op::load(Size::Word, RESULT, FRAME, ETHERTYPE));
    let half = |value: u16| i32::from(u16::from_ne_bytes(value.to_be_bytes()));
    p.if_so(If::Equal, RESULT, half(family), ip);
    p.if_so(If::Equal, RESULT, half(ethertype::VLAN), tagged);
    p.if_so(If::Equal, RESULT, half(ethertype::QINQ), tagged);
    p.jump(Op::jump(0), go_on);

    // Where the outer tag names a VLAN, or the inner does, the frame comes by again at its device.
    p.at(tagged);
    p.op(Op::load(Size::Word, RESULT, FRAME, VLAN_TAG));
    p.op(Op::alu(Alu::And, RESULT, VID));
    p.if_so(If::Differs, RESULT, 0, go_on);
    p.op(Op::alu(Alu::Mov, ARG[1], INNER_TAG));
    copy(p, (free, 2), FROM_MAC, go_on);
    p.op(Op::load(Size::Half, RESULT, STACK, free));
    p.op(Op::be16(RESULT));
    p.op(Op::alu(Alu::And, RESULT, VID));
    p.if_so(If::Differs, RESULT, 0, go_on);
    p.op(Op::alu(Alu::Mov, RESULT, DROP));
    p.op(Op::exit());

    p.at(ip);
    p.op(Op::load(Size::Word, RESULT, FRAME, PACKET_TYPE));
    p.if_so(If::Equal, RESULT, OTHER_HOST, go_on);
}

/// Where things lie on the stack that a packet of ours is judged by.
#[derive(Clone, Copy)]
pub(super) struct Judged {
    /// Room for a key, where nothing else lies.
    pub(super) key: i16,
    /// Where the packet comes from, as it lies there.
    pub(super) source: i16,
    /// Bytes of that.
    pub(super) len: i16,
}

/// Goes on with what a member sends by an interface that leads to it, or by a port of a bridge, where it comes by
/// again; ends at all else (`gate`). A frame to a link-local group does not come by again: bridge and bond leave
/// it to the stack at the port (`br_handle_frame`, `bond_handle_frame`).
pub(super) fn admit<P: Copy + PartialEq>(
    p: &mut Draft<P>,
    members: &KeySet,
    Judged { key, source, len }: Judged,
    (foreign, go_on): (P, P),
) {
    let look = |p: &mut Draft<P>| {
        p.all(Op::map(ARG[0], members));
        p.all(stack_address(ARG[1], key));
        p.op(Op::call(Helper::MapLookup));
    };
    for at in (0..len).step_by(4) {
        p.op(Op::load(Size::Word, RESULT, STACK, source + at));
        p.op(Op::store(Size::Word, STACK, key + 4 + at, RESULT));
    }
    p.op(Op::load(Size::Word, RESULT, FRAME, IFINDEX));
    p.op(Op::store(Size::Word, STACK, key, RESULT));
    look(p);
    p.jump(Op::jump_if_wide(If::Differs, RESULT, 0, 0), go_on);
    p.op(Op::alu(Alu::Mov, RESULT, 0));
    p.op(Op::store(Size::Word, STACK, key, RESULT));
    look(p);
    p.jump(Op::jump_if_wide(If::Equal, RESULT, 0, 0), foreign);
    p.op(Op::alu(Alu::Mov, ARG[1], 0));
    copy(p, (key, 6), FROM_MAC, foreign);
    p.op(Op::load(Size::Word, RESULT, STACK, key));
    p.op(Op::alu(Alu::Xor, RESULT, i32::from_ne_bytes(LINK_LOCAL)));
    p.op(Op::load(Size::Half, ARG[1], STACK, key + 4));
    p.op(Op::alu(Alu::And, ARG[1], u16::from_ne_bytes(NO_OTHER).into()));
    p.op(Op::alu_reg(Alu::Or, RESULT, ARG[1]));
    p.if_so(If::Equal, RESULT, 0, foreign);
    p.op(Op::alu(Alu::Mov, RESULT, 0));
    for at in (0..len).step_by(4) {
        p.op(Op::store(Size::Word, STACK, key + 4 + at, RESULT));
    }
    p.op(Op::load(Size::Word, RESULT, FRAME, IFINDEX));
    p.op(Op::store(Size::Word, STACK, key, RESULT));
    look(p);
    p.jump(Op::jump_if_wide(If::Differs, RESULT, 0, 0), go_on);
}

/// Copies `len` bytes from the offset in R2 to the stack; to `short` where there are fewer.
pub(super) fn copy<P: Copy + PartialEq>(
    p: &mut Draft<P>,
    (to, len): (i16, i32),
    from: i32,
    short: P,
) {
    p.op(Op::alu_reg(Alu::Mov, ARG[0], FRAME));
    p.all(stack_address(ARG[2], to));
    p.op(Op::alu(Alu::Mov, ARG[3], len));
    p.op(Op::alu(Alu::Mov, ARG[4], from));
    p.op(Op::call(Helper::LoadBytesFrom));
    p.if_so(If::Differs, RESULT, 0, short);
}

pub(super) fn stack_address(reg: Reg, at: i16) -> [Op; 2] {
    [Op::alu_reg(Alu::Mov, reg, STACK), Op::alu(Alu::Add, reg, at.into())]
}

/// A word of the area, as bytes.
pub(super) fn at(word: usize) -> i16 {
    i16::try_from(word * 8).unwrap_or(0)
}
