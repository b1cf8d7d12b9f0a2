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
use std::sync::Arc;

use gateway::NatType;
use ns::nft::{self, Table};
use sys::bpf::{Area, Attached, Kind, LruMap, Program};
use sys::packet::Pass;

use self::program::program;
use super::PortBlock;
use super::elements::{Elements, Filled};
use super::filter;
use super::ours::Shared;

const PROGRAM: &str = "uplink_silence";
const PASS: &str = "uplink_pass";
const MAP: &str = "uplink_datagram";
/// Datagrams whose later fragments are known.
const DATAGRAMS: u32 = 1024;

/// How the stack is kept silent, and how that hears what is the NAT's.
#[derive(Clone)]
pub(super) enum Means {
    /// A BPF program.
    Program(Shared),
    /// An nftables table, where the kernel has no tcx or lets us load no program.
    Table(Elements),
}

impl Means {
    /// What this kernel has for a NAT of this kind: found out by loading the program. The memory of held
    /// ports is the fast path's where there is one.
    pub(super) fn of(kind: NatType, held: Option<Arc<Area>>) -> Self {
        let takes = |ours: &Shared| {
            let (address, block) = (Ipv4Addr::LOCALHOST, PortBlock::default());
            load(address, block, ours).is_ok_and(|loaded| loaded.can_attach())
                && let_in(address, block, ours).is_ok()
        };
        match Shared::new(kind, held).ok().filter(takes) {
            Some(ours) => Self::Program(ours),
            None => Self::Table(Elements::new(kind)),
        }
    }

    /// What lets into the ring what may be the NAT's.
    pub(super) fn pass(&self, address: Ipv4Addr, block: PortBlock) -> io::Result<Pass> {
        match self {
            Self::Program(ours) => Ok(Pass::Program(Arc::new(let_in(address, block, ours)?))),
            Self::Table(_) => Ok(Pass::Filter(filter::program(address, block).into())),
        }
    }

    /// Whether a port may be the NAT's that somebody holds at the kernel, of the block or not.
    pub(super) fn holds(&self, block: PortBlock, port: u16) -> bool {
        matches!(self, Self::Program(_)) || block.range().contains(&port)
    }

    /// The one to be told. There is to be only one.
    pub(super) fn hears(&self) -> Box<dyn gateway::Ours> {
        match self {
            Self::Program(ours) => Box::new(ours.writer()),
            Self::Table(elements) => Box::new(elements.clone()),
        }
    }

    /// The word for it.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Program(_) => "tcx",
            Self::Table(_) => "an nftables table",
        }
    }
}

/// The drop, as long as this lives.
pub(super) enum Silence {
    Program(#[expect(dead_code, reason = "held, not read")] Attached),
    Table(#[expect(dead_code, reason = "held, not read")] Filled),
}

/// What is silenced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) index: u32,
    pub(super) interface: &'a str,
    pub(super) address: Ipv4Addr,
    pub(super) block: PortBlock,
}

fn load(address: Ipv4Addr, block: PortBlock, ours: &Shared) -> io::Result<Program> {
    let datagrams = LruMap::new(MAP, 8, 8, DATAGRAMS)?;
    Program::load(Kind::Ingress, PROGRAM, &program(address, block, &datagrams, ours))
}

fn let_in(address: Ipv4Addr, block: PortBlock, ours: &Shared) -> io::Result<Program> {
    Program::load(Kind::SocketFilter, PASS, &filter::shared::program(address, block, ours))
}

/// What tables of this kind are called, whoever's they are.
const OWN: &str = "uswitch-";

/// Whether a table is one that silences a stack.
pub(super) fn is_ours(table: &str) -> bool {
    table.starts_with(OWN)
}

/// Silences the stack of a namespace.
///
/// # Errors
/// What the kernel says.
pub(super) fn begin(
    netns: BorrowedFd<'_>,
    target: Target<'_>,
    means: &Means,
) -> io::Result<Silence> {
    let Target { index, interface, address, block } = target;
    match means {
        Means::Program(ours) => {
            let program = load(address, block, ours)?;
            let attached = sys::netns::inside(netns, || program.attach_ingress(index))?;
            Ok(Silence::Program(attached))
        }
        Means::Table(elements) => {
            let name = format!("{OWN}{}-{index}-{address}-{block}", std::process::id());
            let (ports, remote) = (&block.range(), elements.remote());
            let ask = nft::Ask { name: &name, interface, address, ports, remote };
            let table = Table::install(netns, &ask)?;
            Ok(Silence::Table(elements.fill(table)?))
        }
    }
}
