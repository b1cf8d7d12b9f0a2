//! Messages and expressions of nfnetlink's nftables, as bytes: one function each.

pub(super) const NLMSG_ERROR: u16 = 2;
const REQUEST: u16 = 1;
pub(super) const ACKNOWLEDGE: u16 = 4;
pub(super) const CREATE: u16 = 0x400;
pub(super) const EXCLUSIVE: u16 = 0x200;
pub(super) const APPEND: u16 = 0x800;

pub(super) const BATCH_BEGIN: u16 = 0x10;
pub(super) const BATCH_END: u16 = 0x11;
pub(crate) const NFTABLES: u16 = 10;

/// `NFPROTO_NETDEV`
pub(super) const NETDEV: u8 = 5;
const NESTED: u16 = 0x8000;

const REGISTER: u32 = 1;
pub(super) const LINK_LAYER: u32 = 0;
pub(super) const NETWORK: u32 = 1;
pub(super) const TRANSPORT: u32 = 2;
/// A key lies in registers of four bytes from here on.
pub(super) const KEY: u32 = 8;

/// `NFT_JUMP`
const JUMP: i32 = -3;

/// A comparison (`enum nft_cmp_ops`).
#[derive(Clone, Copy)]
pub(super) enum Is {
    Equal = 0,
    Not = 1,
    AtMost = 3,
    AtLeast = 5,
}

/// What a rule does to a set (`enum nft_dynset_ops`).
#[derive(Clone, Copy)]
pub(super) enum Do {
    Remember = 1,
    Forget = 2,
}

/// Loads bytes of the packet into a register.
pub(super) fn load(register: u32, base: u32, offset: u32, length: u32) -> Vec<u8> {
    let parts = [number(1, register), number(2, base), number(3, offset), number(4, length)];
    expression("payload", &parts.concat())
}

pub(super) fn payload(base: u32, offset: u32, length: u32) -> Vec<u8> {
    load(REGISTER, base, offset, length)
}

/// Keeps these bits of what was loaded.
pub(super) fn mask(bits: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bits.len()).unwrap_or(0);
    let parts = [
        [number(1, REGISTER), number(2, REGISTER), number(3, length)].concat(),
        [nest(4, &attribute(1, bits)), nest(5, &attribute(1, &vec![0; bits.len()]))].concat(),
    ];
    expression("bitwise", &parts.concat())
}

/// Puts bytes into a register.
pub(super) fn set(register: u32, value: &[u8]) -> Vec<u8> {
    expression("immediate", &[number(1, register), nest(2, &attribute(1, value))].concat())
}

/// Ends the rule where the register does not compare so.
pub(super) fn compare(is: Is, value: &[u8]) -> Vec<u8> {
    let parts = [number(1, REGISTER), number(2, is as u32), nest(3, &attribute(1, value))];
    expression("cmp", &parts.concat())
}

/// Puts the key into the set, or takes it out; ends the rule where it cannot.
pub(super) fn change(set: &str, how: Do) -> Vec<u8> {
    expression("dynset", &[text(1, set), number(3, how as u32), number(4, KEY)].concat())
}

/// Ends the rule where the set does not have the key.
pub(super) fn among(set: &str) -> Vec<u8> {
    expression("lookup", &[text(1, set), number(2, KEY)].concat())
}

/// Goes on in another chain, and then here.
pub(super) fn jump(chain: &str) -> Vec<u8> {
    let verdict = [attribute(1, &JUMP.to_be_bytes()), text(2, chain)].concat();
    expression("immediate", &[number(1, 0), nest(2, &nest(2, &verdict))].concat())
}

/// The verdict's register, and the verdict.
pub(super) fn drop() -> Vec<u8> {
    expression("immediate", &[number(1, 0), nest(2, &nest(2, &number(1, 0)))].concat())
}

pub(super) fn expression(name: &str, data: &[u8]) -> Vec<u8> {
    nest(1, &[text(1, name), nest(2, data)].concat())
}

pub(crate) fn message(kind: u16, flags: u16, sequence: u32, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(20 + body.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST | flags).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    // `struct nfgenmsg`: family, version, and of a batch the subsystem.
    let subsystem = if body.is_empty() { NFTABLES } else { 0 };
    bytes.extend([family, 0]);
    bytes.extend(subsystem.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(4 + value.len()).unwrap_or(u16::MAX).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub(super) fn nest(kind: u16, value: &[u8]) -> Vec<u8> {
    attribute(kind | NESTED, value)
}

pub(super) fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

pub(super) fn long(kind: u16, value: u64) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

pub(crate) fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}
