//! An nftables table that drops TCP and UDP to one address and a block of ports at an interface's
//! ingress, and that the kernel removes when its owner's socket is closed (`NFT_TABLE_F_OWNER`,
//! since Linux 5.12). By nfnetlink alone. Used by `lab` where a BPF program is not to be had.
//!
//! Only the first fragment of a datagram has ports, so a set in the table remembers whose later ones
//! are to be dropped too; where it is full a datagram's later fragments are let through.
//!
//! One batch, which takes effect as a whole or not at all.

use std::io;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::os::fd::BorrowedFd;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use sys::netns::{inside, operation};

/// The table, as long as this lives.
pub struct Table {
    _socket: Socket,
}

/// Installs the table `name` in a namespace.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN there, or where another has a table of this name; EOPNOTSUPP or
/// ENOENT without nftables.
pub fn drop_at_ingress(
    netns: BorrowedFd<'_>,
    name: &str,
    interface: &str,
    address: Ipv4Addr,
    ports: &RangeInclusive<u16>,
) -> io::Result<Table> {
    let batch = batch(name, interface, address, ports);
    inside(netns, || {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.send(&batch, 0)?;
        acknowledged(&socket)?;
        Ok(Table { _socket: socket })
    })
    .map_err(|e| operation("installing an nftables table", e))
}

/// Waits for the acknowledgement of the batch's last message; an error comes before it.
fn acknowledged(socket: &Socket) -> io::Result<()> {
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = &datagram[..];
        while let Some(header) = rest.first_chunk::<20>() {
            let word = |at: usize| {
                u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
            };
            let (length, sequence) = (word(0) as usize, word(8));
            let kind = u16::from_ne_bytes([header[4], header[5]]);
            if kind == NLMSG_ERROR {
                match i32::from_ne_bytes([header[16], header[17], header[18], header[19]]) {
                    0 if sequence == LAST => return Ok(()),
                    0 => {}
                    code => return Err(io::Error::from_raw_os_error(code.saturating_neg())),
                }
            }
            rest = rest.get(length.max(16).next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

const NLMSG_ERROR: u16 = 2;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const CREATE: u16 = 0x400;
const EXCLUSIVE: u16 = 0x200;
const APPEND: u16 = 0x800;

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
pub(crate) const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = NFTABLES << 8;
const NEW_CHAIN: u16 = NFTABLES << 8 | 3;
const NEW_RULE: u16 = NFTABLES << 8 | 6;
const NEW_SET: u16 = NFTABLES << 8 | 9;

/// `NFPROTO_NETDEV`
const NETDEV: u8 = 5;
const OWNER: u32 = 2;
const NESTED: u16 = 0x8000;
/// The sequence number of the last message.
const LAST: u32 = 9;

const CHAIN: &str = "ingress";
const REGISTER: u32 = 1;
const LINK_LAYER: u32 = 0;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

const SET: &str = "datagrams";
/// Source, identification and protocol, four bytes each, in the registers from here on.
const KEY: u32 = 8;
const KEY_LENGTH: u32 = 12;
/// Datagrams remembered, and for how long in milliseconds.
const DATAGRAMS: u32 = 1024;
const REMEMBERED: u64 = 30_000;
/// `NFT_SET_TIMEOUT | NFT_SET_EVAL`
const CHANGING: u32 = 0x10 | 0x20;

/// "More fragments", and the offset.
const MORE: [u8; 2] = [0x20, 0];
const OFFSET: [u8; 2] = [0x1f, 0xff];

/// A comparison (`enum nft_cmp_ops`).
#[derive(Clone, Copy)]
enum Is {
    Equal = 0,
    Not = 1,
    AtMost = 3,
    AtLeast = 5,
}

/// What a rule does to the set (`enum nft_dynset_ops`).
#[derive(Clone, Copy)]
enum Do {
    Remember = 1,
    Forget = 2,
}

fn batch(table: &str, interface: &str, address: Ipv4Addr, ports: &RangeInclusive<u16>) -> Vec<u8> {
    let hook = [number(1, 0), number(2, 0), text(3, interface)].concat();
    let chain = [text(1, table), text(3, CHAIN), nest(4, &hook), text(7, "filter")].concat();
    let named = [text(1, table), number(2, OWNER)].concat();
    let set = [
        [text(1, table), text(2, SET), number(3, CHANGING), number(5, KEY_LENGTH)].concat(),
        [nest(9, &number(1, DATAGRAMS)), number(10, 1), long(11, REMEMBERED)].concat(),
    ];
    let create = CREATE | EXCLUSIVE;
    let to_us = |protocol: Option<u8>| {
        let mut tests = vec![
            // Of a frame with a VLAN tag the kernel shows the tag here.
            payload(LINK_LAYER, 12, 2),
            compare(Is::Equal, &[0x08, 0x00]),
            payload(NETWORK, 16, 4),
            compare(Is::Equal, &address.octets()),
        ];
        if let Some(protocol) = protocol {
            tests.extend([payload(NETWORK, 9, 1), compare(Is::Equal, &[protocol])]);
        }
        tests.concat()
    };
    let with_ports = [masked(OFFSET), compare(Is::Equal, &[0; 2])].concat();
    let in_block = [
        // The kernel would take what stands in a later fragment for ports.
        with_ports.clone(),
        payload(TRANSPORT, 2, 2),
        compare(Is::AtLeast, &ports.start().to_be_bytes()),
        compare(Is::AtMost, &ports.end().to_be_bytes()),
    ]
    .concat();
    let later = [masked(OFFSET), compare(Is::Not, &[0; 2])].concat();
    let more = [masked(MORE), compare(Is::Not, &[0; 2])].concat();
    let of_block = |protocol| {
        let note = [more.clone(), datagram(), change(Do::Remember)].concat();
        let ours = [to_us(Some(protocol)), in_block.clone()].concat();
        [[ours.clone(), note].concat(), [ours, drop()].concat()]
    };
    // The identification may be that of an older datagram of the block.
    let foreign = [to_us(None), with_ports, more.clone(), datagram(), change(Do::Forget)].concat();
    let rest = [to_us(None), later, datagram(), remembered(), drop()].concat();
    let rules = [of_block(6), of_block(17)].concat().into_iter().chain([foreign, rest]);
    let mut batch = message(BATCH_BEGIN, 0, 0, 0, &[]);
    let asked = create | ACKNOWLEDGE;
    batch.extend(message(NEW_TABLE, asked, 1, NETDEV, &named));
    batch.extend(message(NEW_CHAIN, asked, 2, NETDEV, &chain));
    batch.extend(message(NEW_SET, asked, 3, NETDEV, &set.concat()));
    for (sequence, tests) in (4..).zip(rules) {
        let rule = [text(1, table), text(2, CHAIN), nest(4, &tests)].concat();
        batch.extend(message(NEW_RULE, CREATE | APPEND | ACKNOWLEDGE, sequence, NETDEV, &rule));
    }
    batch.extend(message(BATCH_END, 0, LAST + 1, 0, &[]));
    batch
}

/// Loads bytes of the packet into a register.
fn load(register: u32, base: u32, offset: u32, length: u32) -> Vec<u8> {
    let parts = [number(1, register), number(2, base), number(3, offset), number(4, length)];
    expression("payload", &parts.concat())
}

fn payload(base: u32, offset: u32, length: u32) -> Vec<u8> {
    load(REGISTER, base, offset, length)
}

/// Loads these bits of the fragment field.
fn masked(bits: [u8; 2]) -> Vec<u8> {
    let parts = [
        [number(1, REGISTER), number(2, REGISTER), number(3, 2)].concat(),
        [nest(4, &attribute(1, &bits)), nest(5, &attribute(1, &[0; 2]))].concat(),
    ];
    [payload(NETWORK, 6, 2), expression("bitwise", &parts.concat())].concat()
}

/// Loads which datagram a fragment is of.
fn datagram() -> Vec<u8> {
    let parts = [(12, 4), (4, 2), (9, 1)];
    let load = |(register, (offset, length))| load(register, NETWORK, offset, length);
    (KEY..).zip(parts).flat_map(load).collect()
}

/// Ends the rule where the register does not compare so.
fn compare(is: Is, value: &[u8]) -> Vec<u8> {
    let parts = [number(1, REGISTER), number(2, is as u32), nest(3, &attribute(1, value))];
    expression("cmp", &parts.concat())
}

/// Puts the datagram into the set, or takes it out; ends the rule where it cannot.
fn change(how: Do) -> Vec<u8> {
    expression("dynset", &[text(1, SET), number(3, how as u32), number(4, KEY)].concat())
}

/// Ends the rule where the set does not have the datagram.
fn remembered() -> Vec<u8> {
    expression("lookup", &[text(1, SET), number(2, KEY)].concat())
}

/// The verdict's register, and the verdict.
fn drop() -> Vec<u8> {
    expression("immediate", &[number(1, 0), nest(2, &nest(2, &number(1, 0)))].concat())
}

fn expression(name: &str, data: &[u8]) -> Vec<u8> {
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

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(4 + value.len()).unwrap_or(u16::MAX).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn nest(kind: u16, value: &[u8]) -> Vec<u8> {
    attribute(kind | NESTED, value)
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

fn long(kind: u16, value: u64) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

pub(crate) fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}
