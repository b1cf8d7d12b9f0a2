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

use crate::layout::{CONTROL, COUNT, ENTRIES, FLOW, ROUTE, ROWS};
use crate::table::Table;

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
        let (tap, forward) = (load("tap")?, load("forward")?);
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
        let table = Table::shared([control, flows, routes, counts], cores);
        Ok((Self { tap: Arc::new(tap), forward }, table))
    }

    /// The filter of the switch's packet socket, which has to be the only one of its namespace that
    /// forwards.
    #[must_use]
    pub fn tap(&self) -> &Arc<Program> {
        &self.tap
    }

    /// Has an interface of the calling thread's namespace forward by flows.
    ///
    /// # Errors
    /// ENODEV; EPERM.
    pub fn attach(&self, ifindex: u32) -> io::Result<Attached> {
        self.forward.attach_ingress(ifindex)
    }
}

/// With all its causes: the library's own words are about its own objects.
fn refused(error: &dyn std::error::Error) -> Error {
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
