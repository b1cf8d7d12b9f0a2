//! An nftables table that drops TCP and UDP to one address and a block of ports at an interface's
//! ingress, and that the kernel removes when its owner's socket is closed (`NFT_TABLE_F_OWNER`,
//! since Linux 5.12). By nfnetlink alone. Used by `lab` where a BPF program is not to be had.
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
const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = NFTABLES << 8;
const NEW_CHAIN: u16 = NFTABLES << 8 | 3;
const NEW_RULE: u16 = NFTABLES << 8 | 6;

/// `NFPROTO_NETDEV`
const NETDEV: u8 = 5;
const OWNER: u32 = 2;
const NESTED: u16 = 0x8000;
/// The sequence number of the last message.
const LAST: u32 = 4;

const CHAIN: &str = "ingress";
const REGISTER: u32 = 1;
const LINK_LAYER: u32 = 0;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

/// A comparison (`enum nft_cmp_ops`).
#[derive(Clone, Copy)]
enum Is {
    Equal = 0,
    AtMost = 3,
    AtLeast = 5,
}

fn batch(table: &str, interface: &str, address: Ipv4Addr, ports: &RangeInclusive<u16>) -> Vec<u8> {
    let hook = [number(1, 0), number(2, 0), text(3, interface)].concat();
    let chain = [text(1, table), text(3, CHAIN), nest(4, &hook), text(7, "filter")].concat();
    let named = [text(1, table), number(2, OWNER)].concat();
    let create = CREATE | EXCLUSIVE;
    let mut batch = message(BATCH_BEGIN, 0, 0, 0, &[]);
    batch.extend(message(NEW_TABLE, create | ACKNOWLEDGE, 1, NETDEV, &named));
    batch.extend(message(NEW_CHAIN, create | ACKNOWLEDGE, 2, NETDEV, &chain));
    for (sequence, protocol) in [(3, 6), (LAST, 17)] {
        let tests = [
            // Of a frame with a VLAN tag the kernel shows the tag here.
            payload(LINK_LAYER, 12, 2),
            compare(Is::Equal, &[0x08, 0x00]),
            payload(NETWORK, 9, 1),
            compare(Is::Equal, &[protocol]),
            payload(NETWORK, 16, 4),
            compare(Is::Equal, &address.octets()),
            // A later fragment has no ports, so the rule ends here for it.
            payload(TRANSPORT, 2, 2),
            compare(Is::AtLeast, &ports.start().to_be_bytes()),
            compare(Is::AtMost, &ports.end().to_be_bytes()),
            // The verdict's register, and the verdict: drop.
            expression("immediate", &[number(1, 0), nest(2, &nest(2, &number(1, 0)))].concat()),
        ];
        let rule = [text(1, table), text(2, CHAIN), nest(4, &tests.concat())].concat();
        batch.extend(message(NEW_RULE, CREATE | APPEND | ACKNOWLEDGE, sequence, NETDEV, &rule));
    }
    batch.extend(message(BATCH_END, 0, LAST + 1, 0, &[]));
    batch
}

/// Loads bytes of the packet into the register.
fn payload(base: u32, offset: u32, length: u32) -> Vec<u8> {
    let parts = [number(1, REGISTER), number(2, base), number(3, offset), number(4, length)];
    expression("payload", &parts.concat())
}

/// Ends the rule where the register does not compare so.
fn compare(is: Is, value: &[u8]) -> Vec<u8> {
    let parts = [number(1, REGISTER), number(2, is as u32), nest(3, &attribute(1, value))];
    expression("cmp", &parts.concat())
}

fn expression(name: &str, data: &[u8]) -> Vec<u8> {
    nest(1, &[text(1, name), nest(2, data)].concat())
}

fn message(kind: u16, flags: u16, sequence: u32, family: u8, body: &[u8]) -> Vec<u8> {
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

fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}
