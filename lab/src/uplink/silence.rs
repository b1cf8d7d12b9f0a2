//! What the host's stack must not see: a BPF program at the interface's ingress (or an nftables
//! table, see [`Means`]), behind the packet sockets and before everything else, that drops what the
//! NAT answers. All else goes on to whatever other programs there are, and to the stack.
//!
//! Later fragments that overtake their first reach the stack, which without a first drops them in
//! silence. Nothing is pinned: it ends with the process, however that ends.

mod program;

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

use ns::nft::{self, Table};
use sys::bpf::{Attached, Kind, LruMap, Program};

use self::program::program;
use super::PortBlock;
use super::ours::Shared;

const PROGRAM: &str = "uplink_silence";
const MAP: &str = "uplink_datagram";
/// Datagrams whose later fragments are known.
const DATAGRAMS: u32 = 1024;

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
    /// What of the block is the NAT's; None where no BPF is to be had.
    pub(super) ours: Option<&'a Shared>,
}

/// By what means the stack of this kernel can be kept silent: found out by loading the program.
pub(super) fn means(ours: Option<&Shared>) -> Means {
    let load = |ours| load(Ipv4Addr::LOCALHOST, PortBlock::default(), ours).ok();
    match ours.and_then(load) {
        Some(loaded) if loaded.can_attach() => Means::Program,
        _ => Means::Table,
    }
}

fn load(address: Ipv4Addr, block: PortBlock, ours: &Shared) -> io::Result<Program> {
    let datagrams = LruMap::new(MAP, 8, 8, DATAGRAMS)?;
    Program::load(Kind::Ingress, PROGRAM, &program(address, block, &datagrams, ours))
}

/// Silences the stack of a namespace.
///
/// # Errors
/// What the kernel says to both means, where neither is to be had.
pub(crate) fn begin(netns: BorrowedFd<'_>, target: Target<'_>) -> io::Result<Silence> {
    let Target { index, interface, address, block, ours } = target;
    let by_program = || {
        let ours = ours.ok_or(io::ErrorKind::Unsupported)?;
        let program = load(address, block, ours)?;
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
