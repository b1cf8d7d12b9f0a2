//! An nftables table that drops, at an interface's ingress, what its owner says is its own of TCP and
//! UDP to one address and a block of ports; the kernel removes it when the owner's socket is closed
//! (`NFT_TABLE_F_OWNER`, since Linux 5.12). By nfnetlink alone. Used by `lab` where a BPF program is
//! not to be had.
//!
//! Only the first fragment of a datagram has ports, so a set in the table remembers whose later ones
//! are to be dropped too; where it is full a datagram's later fragments are let through.
//!
//! Each batch takes effect as a whole or not at all.

mod batch;
mod message;

use std::io;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::os::fd::BorrowedFd;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use sys::netns::{inside, operation};

use self::message::{
    ACKNOWLEDGE, BATCH_BEGIN, BATCH_END, CREATE, NETDEV, NLMSG_ERROR, attribute, nest,
};
pub(crate) use self::message::{NFTABLES, message, text};

const NEW_ELEMENTS: u16 = NFTABLES << 8 | 12;
const DELETE_ELEMENTS: u16 = NFTABLES << 8 | 14;

const SESSIONS: &str = "sessions";
const PORTS: &str = "ports";
const OPENING: &str = "opening";

/// What may be dropped.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The table's name.
    pub name: &'a str,
    /// The interface it comes in by.
    pub interface: &'a str,
    /// The address it goes to.
    pub address: Ipv4Addr,
    /// The ports it goes to.
    pub ports: &'a RangeInclusive<u16>,
    /// What must match of its source.
    pub remote: Remote,
}

/// How much of a remote end must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// Only [`Key::Port`] and [`Key::Opening`] are looked up.
    Nothing,
    /// Its address; its port in a key is 0.
    Address,
    /// Both.
    AddressAndPort,
}

/// Something that is dropped, by the protocol's number and our port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// What a remote end sends.
    Session(u8, u16, Ipv4Addr, u16),
    /// What anybody sends.
    Port(u8, u16),
    /// What anybody sends to open a TCP connection.
    Opening(u16),
}

impl Key {
    /// Its set, and its bytes there: each part in four.
    fn parts(self) -> (&'static str, Vec<u8>) {
        let four = |port: u16| [port.to_be_bytes(), [0; 2]].concat();
        let number = |protocol| vec![protocol, 0, 0, 0];
        match self {
            Self::Session(protocol, port, address, remote) => {
                let remote = [address.octets().to_vec(), four(remote)].concat();
                (SESSIONS, [remote, four(port), number(protocol)].concat())
            }
            Self::Port(protocol, port) => (PORTS, [four(port), number(protocol)].concat()),
            Self::Opening(port) => (OPENING, [four(port), number(6)].concat()),
        }
    }
}

/// The table, as long as this lives.
pub struct Table {
    socket: Socket,
    name: String,
}

impl Table {
    /// Installs a table in a namespace; nothing is dropped yet.
    ///
    /// # Errors
    /// EPERM without CAP_NET_ADMIN there, or where another has a table of this name; EOPNOTSUPP or
    /// ENOENT without nftables.
    pub fn install(netns: BorrowedFd<'_>, ask: &Ask<'_>) -> io::Result<Self> {
        let (batch, last) = batch::batch(ask);
        inside(netns, || {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.send(&batch, 0)?;
            acknowledged(&socket, last)?;
            Ok(Self { socket, name: ask.name.into() })
        })
        .map_err(|e| operation("installing an nftables table", e))
    }

    /// From now on these are dropped, or no longer; it has taken effect when this returns.
    ///
    /// # Errors
    /// What the kernel says; then none of them has.
    pub fn change(&self, keys: &[Key], is: bool) -> io::Result<()> {
        let (kind, flags) = if is { (NEW_ELEMENTS, CREATE) } else { (DELETE_ELEMENTS, 0) };
        let mut batch = message(BATCH_BEGIN, 0, 0, 0, &[]);
        let mut last = 0;
        for key in keys {
            last += 1;
            let (set, bytes) = key.parts();
            let element = nest(1, &nest(1, &attribute(1, &bytes)));
            let body = [text(1, &self.name), text(2, set), nest(3, &element)].concat();
            batch.extend(message(kind, flags | ACKNOWLEDGE, last, NETDEV, &body));
        }
        batch.extend(message(BATCH_END, 0, last + 1, 0, &[]));
        // By write(2): threads that forward frames may not ask the kernel for much more.
        let sent = nix::unistd::write(&self.socket, &batch).map_err(io::Error::from);
        let done = sent.and_then(|_| acknowledged(&self.socket, last));
        done.map_err(|e| operation("changing a set of an nftables table", e))
    }
}

/// Waits for the acknowledgement of the batch's last message; an error comes before it.
fn acknowledged(socket: &Socket, last: u32) -> io::Result<()> {
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
                    0 if sequence == last => return Ok(()),
                    0 => {}
                    code => return Err(io::Error::from_raw_os_error(code.saturating_neg())),
                }
            }
            rest = rest.get(length.max(16).next_multiple_of(4)..).unwrap_or_default();
        }
    }
}
