//! The object file into the kernel: maps made and mapped, programs verified.
//!
//! Nothing is pinned. Programs, maps and attachments live as long as their descriptors, so they end
//! with the process, however it ends.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use aya::EbpfLoader;
use aya::maps::Map;
use aya::programs::Program as Loaded;
use sys::bpf::{Area, Attached, Program};

use crate::layout::{CONTROL, COUNT, ENTRIES, FLOW, HELD, ROUTE, ROWS, SET, SETS};
use crate::table::{Lane, Table};

/// What `bpf/build` made of `c/flows.bpf.c`.
pub const OBJECT: &[u8] = include_bytes!("../flows.o");

/// Why the programs cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refuses a map or a program.
    #[error("the kernel refuses BPF programs: {0}")]
    Refused(String),
    /// The kernel has no tcx.
    #[error("the kernel cannot attach BPF programs to an interface (tcx, Linux 6.6)")]
    NoTcx,
    /// The object file lacks something: it does not belong to this program.
    #[error("the programs lack {0}")]
    Lacks(&'static str),
    /// What the two share cannot be mapped.
    #[error("memory shared with BPF programs: {0}")]
    Memory(#[from] io::Error),
}

/// The loaded programs.
pub struct Programs {
    /// For the switch's packet socket.
    tap: Arc<Program>,
    forward: Program,
    /// The same for an uplink in another namespace, and what goes on from there.
    tap_uplink: Arc<Program>,
    forward_uplink: Program,
    onward: Program,
    /// Ports beside the block, shared.
    held: Arc<Area>,
}

impl Programs {
    /// Loads them, with the memory they share with us.
    ///
    /// # Errors
    /// [`Error::Refused`] without CAP_BPF and CAP_NET_ADMIN of the first user namespace.
    pub fn load() -> Result<(Self, Table), Error> {
        let cores = sys::cores::installed();
        let rows = u32::try_from(ROWS * cores).unwrap_or(u32::MAX);
        let mut loader = EbpfLoader::new();
        let loader = loader.btf(None).map_max_entries("counts", rows);
        let mut object = loader.load(OBJECT).map_err(|error| refused(&error))?;
        let mut load = |name: &'static str| -> Result<Program, Error> {
            let program = object.program_mut(name).ok_or(Error::Lacks(name))?;
            match program {
                Loaded::SocketFilter(program) => program.load(),
                Loaded::SchedClassifier(program) => program.load(),
                _ => return Err(Error::Lacks(name)),
            }
            .map_err(|error| refused(&error))?;
            let fd = program.fd().map_err(|error| refused(&error))?;
            Ok(Program::from(fd.as_fd().try_clone_to_owned()?))
        };
        let [tap, tap_uplink] = [load("tap")?, load("tap_uplink")?].map(Arc::new);
        let (forward, forward_uplink) = (load("forward")?, load("forward_uplink")?);
        let onward = load("onward")?;
        if !forward.can_attach() {
            return Err(Error::NoTcx);
        }
        let mut map = |name: &'static str, words: usize| match object.take_map(name) {
            Some(Map::Array(map)) => Ok(Area::of(map.fd().as_fd().try_clone_to_owned()?, words)?),
            _ => Err(Error::Lacks(name)),
        };
        let control = map("control", CONTROL)?;
        let flows = map("flows", ENTRIES * FLOW)?;
        let routes = map("routes", ENTRIES * ROUTE)?;
        let counts = map("counts", ROWS * COUNT * cores)?;
        let sets = map("sets", SETS * SET)?;
        let held = Arc::new(map("held", HELD)?);
        let table = Table::shared([control, flows, routes, counts, sets], cores);
        Ok((Self { tap, forward, tap_uplink, forward_uplink, onward, held }, table))
    }

    /// The filter of a ring's packet socket, which has to be the only one of its namespace that
    /// forwards. That of the uplink lets through what is the gateway's alone ([`Table::share`]).
    #[must_use]
    pub fn tap(&self, lane: Lane) -> &Arc<Program> {
        match lane {
            Lane::Ports => &self.tap,
            Lane::Uplink => &self.tap_uplink,
        }
    }

    /// A bit a port, those of TCP, then those of UDP: ports that are the gateway's besides the block
    /// ([`crate::Shared`]). Behind them bits of what comes by protocols without ports.
    #[must_use]
    pub fn held(&self) -> &Arc<Area> {
        &self.held
    }

    /// Has an interface of the calling thread's namespace forward by flows.
    ///
    /// # Errors
    /// ENODEV; EPERM.
    pub fn attach(&self, ifindex: u32) -> io::Result<Attached> {
        self.forward.attach_ingress(ifindex)
    }

    /// The same of an uplink in another namespace than the switch's.
    ///
    /// # Errors
    /// The same.
    pub fn attach_uplink(&self, ifindex: u32) -> io::Result<Attached> {
        self.forward_uplink.attach_ingress(ifindex)
    }

    /// Has an end of the crossing send on what comes across.
    ///
    /// # Errors
    /// The same.
    pub fn attach_crossing(&self, ifindex: u32) -> io::Result<Attached> {
        self.onward.attach_ingress(ifindex)
    }
}

/// With all its causes: the library's own words are about its own objects.
pub(crate) fn refused(error: &dyn std::error::Error) -> Error {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // What the verifier says takes many lines; the last one counts.
        let words = error.to_string();
        let line = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        text = format!("{text}: {line}");
        cause = error.source();
    }
    Error::Refused(text.lines().next().unwrap_or_default().into())
}
