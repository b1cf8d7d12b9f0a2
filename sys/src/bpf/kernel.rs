//! The `bpf(2)` calls: a map, a program, a program on an interface.
//!
//! A refused program comes with the verifier's last words. Every descriptor is close-on-exec, as
//! the kernel makes them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::Op;
use crate::netns::operation;

const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE: libc::c_long = 2;
const MAP_DELETE: libc::c_long = 3;
const PROG_LOAD: libc::c_long = 5;
const LINK_CREATE: libc::c_long = 28;

/// `BPF_MAP_TYPE_ARRAY`
const ARRAY: u32 = 2;
/// `BPF_F_MMAPABLE`
const MAPPABLE: u32 = 1 << 10;
/// `BPF_MAP_TYPE_HASH`
const HASH: u32 = 1;
/// `BPF_F_NO_PREALLOC`: room is taken when it is needed.
const AS_NEEDED: u32 = 1;
/// `BPF_MAP_TYPE_LRU_HASH`
const LRU_HASH: u32 = 9;
/// `BPF_TCX_INGRESS`, since Linux 6.6.
const TCX_INGRESS: u32 = 46;
const TCX_EGRESS: u32 = 47;
/// `BPF_F_BEFORE`, and no other program named: first of all.
const FIRST: u32 = 1 << 3;
/// Bytes for what the verifier says.
const LOG: usize = 1 << 16;

/// Room for the part of `union bpf_attr` that is used; the rest reads as zero.
const ATTRIBUTES: usize = 72;

/// The attributes of a call, by their offsets.
#[repr(align(8))]
struct Attributes([u8; ATTRIBUTES]);

impl Attributes {
    fn new() -> Self {
        Self([0; ATTRIBUTES])
    }

    fn word(mut self, at: usize, value: u32) -> Self {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn descriptor(self, at: usize, fd: &OwnedFd) -> Self {
        self.word(at, u32::from_ne_bytes(fd.as_raw_fd().to_ne_bytes()))
    }

    fn pointer<T>(mut self, at: usize, to: *const T) -> Self {
        self.0[at..at + 8].copy_from_slice(&(to as u64).to_ne_bytes());
        self
    }

    fn name(mut self, at: usize, name: &str) -> Self {
        let bytes = &name.as_bytes()[..name.len().min(15)];
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }
}

/// Makes a call that gives a descriptor.
///
/// # Safety
/// Every pointer among the attributes is to memory as long as the call expects, which lives until
/// it returns; what the kernel writes there is of a type that may hold any bytes.
unsafe fn bpf(command: libc::c_long, attributes: &mut Attributes) -> io::Result<OwnedFd> {
    // SAFETY: the caller answers for what the attributes point to.
    let fd = unsafe { call(command, attributes) }?;
    // SAFETY: the kernel gave us this descriptor just now.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes a call, whatever number it gives.
///
/// # Safety
/// As of [`bpf`].
unsafe fn call(command: libc::c_long, attributes: &mut Attributes) -> io::Result<i32> {
    // SAFETY: the attributes are ATTRIBUTES bytes; what they point to the caller answers for.
    let said =
        unsafe { libc::syscall(libc::SYS_bpf, command, attributes.0.as_mut_ptr(), ATTRIBUTES) };
    match i32::try_from(said) {
        Ok(said @ 0..) => Ok(said),
        _ => Err(io::Error::last_os_error()),
    }
}

/// An array with one value of so many bytes, to be mapped.
pub(super) fn mapped_array(name: &str, bytes: u32) -> io::Result<OwnedFd> {
    let attributes = Attributes::new().word(0, ARRAY).word(4, 4).word(8, bytes).word(12, 1);
    let mut attributes = attributes.word(16, MAPPABLE).name(28, name);
    // SAFETY: no pointer among them.
    let made = unsafe { bpf(MAP_CREATE, &mut attributes) };
    made.map_err(|e| operation("making a BPF map", e))
}

/// A table of bounded size that forgets what was used least recently.
#[derive(Debug)]
pub struct LruMap(OwnedFd);

impl LruMap {
    /// A table of `entries` with keys and values of these sizes in bytes.
    ///
    /// # Errors
    /// EPERM without CAP_BPF; ENOMEM.
    pub fn new(name: &str, key: u32, value: u32, entries: u32) -> io::Result<Self> {
        let attributes = Attributes::new().word(0, LRU_HASH).word(4, key).word(8, value);
        let mut attributes = attributes.word(12, entries).name(28, name);
        // SAFETY: no pointer among them.
        let made = unsafe { bpf(MAP_CREATE, &mut attributes) };
        made.map(Self).map_err(|e| operation("making a BPF map", e))
    }
}

impl Map for LruMap {
    fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

/// A set of keys that this process fills and a program looks things up in.
#[derive(Debug)]
pub struct KeySet {
    map: OwnedFd,
    /// Bytes of a key.
    key: usize,
}

impl KeySet {
    /// A set of up to `entries` keys of `key` bytes.
    ///
    /// # Errors
    /// EPERM without CAP_BPF; EINVAL for a key of no bytes; ENOMEM.
    pub fn new(name: &str, key: u8, entries: u32) -> io::Result<Self> {
        let attributes = Attributes::new().word(0, HASH).word(4, key.into()).word(8, 4);
        let mut attributes = attributes.word(12, entries).word(16, AS_NEEDED).name(28, name);
        // SAFETY: no pointer among them.
        let made = unsafe { bpf(MAP_CREATE, &mut attributes) };
        let map = made.map_err(|e| operation("making a BPF map", e))?;
        Ok(Self { map, key: key.into() })
    }

    /// Puts a key in, as it lies in memory.
    ///
    /// # Errors
    /// E2BIG where the set is full; ENOMEM; InvalidInput for a key of another length.
    pub fn insert(&self, key: &[u8]) -> io::Result<()> {
        self.fits(key)?;
        let value = [0_u8; 4];
        let attributes = Attributes::new().descriptor(0, &self.map).pointer(8, key.as_ptr());
        let mut attributes = attributes.pointer(16, value.as_ptr());
        // SAFETY: the key has as many bytes as the map's, the value four, and both outlive the call.
        unsafe { call(MAP_UPDATE, &mut attributes) }
            .map(drop)
            .map_err(|e| operation("filling a BPF map", e))
    }

    /// Takes a key out; one that is not there is no error.
    ///
    /// # Errors
    /// EPERM; InvalidInput for a key of another length.
    pub fn remove(&self, key: &[u8]) -> io::Result<()> {
        self.fits(key)?;
        let mut attributes = Attributes::new().descriptor(0, &self.map).pointer(8, key.as_ptr());
        // SAFETY: the key has as many bytes as the map's and outlives the call.
        match unsafe { call(MAP_DELETE, &mut attributes) } {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            told => told.map(drop).map_err(|e| operation("changing a BPF map", e)),
        }
    }

    fn fits(&self, key: &[u8]) -> io::Result<()> {
        match key.len() == self.key {
            true => Ok(()),
            false => Err(io::Error::from(io::ErrorKind::InvalidInput)),
        }
    }
}

impl Map for KeySet {
    fn number(&self) -> i32 {
        self.map.as_raw_fd()
    }
}

/// What a program may look things up in.
pub trait Map {
    /// Its descriptor.
    fn number(&self) -> i32;
}

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What a socket takes (`BPF_PROG_TYPE_SOCKET_FILTER`).
    SocketFilter = 1,
    /// What goes on from an interface to the stack (`BPF_PROG_TYPE_SCHED_CLS`).
    Ingress = 3,
}

/// A loaded program, which keeps the maps it names.
#[derive(Debug)]
pub struct Program(OwnedFd);

impl From<OwnedFd> for Program {
    /// One that somebody else has loaded.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl Program {
    /// Loads a program.
    ///
    /// # Errors
    /// EPERM without CAP_BPF, and CAP_NET_ADMIN for an interface's ingress; what the verifier does
    /// not like, in its words.
    pub fn load(kind: Kind, name: &str, ops: &[Op]) -> io::Result<Self> {
        let load = |log: &mut [u8]| {
            let (level, length) = (u32::from(!log.is_empty()), log.len());
            let attributes = Attributes::new()
                .word(0, kind as u32)
                .word(4, u32::try_from(ops.len()).unwrap_or(u32::MAX))
                .pointer(8, ops.as_ptr())
                .pointer(16, c"Dual MIT/GPL".as_ptr())
                .word(24, level);
            let mut attributes = attributes
                .word(28, u32::try_from(length).unwrap_or(0))
                .pointer(32, if length == 0 { std::ptr::null() } else { log.as_mut_ptr() })
                .name(48, name);
            // SAFETY: instructions, licence and log outlive the call and have the lengths told;
            // the kernel writes bytes to the log alone.
            unsafe { bpf(PROG_LOAD, &mut attributes) }
        };
        let error = match load(&mut []) {
            Ok(program) => return Ok(Self(program)),
            Err(error) => error,
        };
        let what = "loading a BPF program";
        // A second time, to hear why.
        let mut log = vec![0; LOG];
        match load(&mut log) {
            Ok(program) => Ok(Self(program)),
            Err(_) => {
                let length = log.iter().position(|byte| *byte == 0).unwrap_or(LOG);
                let text = String::from_utf8_lossy(&log[..length]).into_owned();
                let last = text.lines().rev().find(|l| !l.starts_with("processed"));
                Err(match last {
                    Some(line) => operation(&format!("{what}: {line}"), error),
                    None => operation(what, error),
                })
            }
        }
    }

    /// Puts the program before the stack, and before every other such program, of an interface
    /// of the calling thread's namespace.
    ///
    /// # Errors
    /// EINVAL on a kernel without tcx (before 6.6, or without CONFIG_NET_XGRESS); ENODEV; EPERM.
    pub fn attach_ingress(&self, ifindex: u32) -> io::Result<Attached> {
        self.attach(ifindex, TCX_INGRESS).map_err(|e| operation("attaching a BPF program", e))
    }

    /// The same for what leaves by it, before its queue.
    ///
    /// # Errors
    /// The same.
    pub fn attach_egress(&self, ifindex: u32) -> io::Result<Attached> {
        self.attach(ifindex, TCX_EGRESS).map_err(|e| operation("attaching a BPF program", e))
    }

    /// Whether this kernel could attach it: one that can looks for the interface first.
    #[must_use]
    pub fn can_attach(&self) -> bool {
        self.attach(0, TCX_INGRESS).is_err_and(|e| e.raw_os_error() == Some(libc::ENODEV))
    }

    /// Has a socket take only what the program lets it (`SO_ATTACH_BPF`).
    pub(crate) fn filter(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let program = self.0.as_raw_fd();
        let len = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(0);
        // SAFETY: the pointer covers `len` bytes of a value that outlives the call.
        let rc = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_BPF,
                (&raw const program).cast(),
                len,
            )
        };
        if rc == 0 {
            Ok(())
        } else {
            Err(operation("filtering a packet socket by a program", io::Error::last_os_error()))
        }
    }

    fn attach(&self, ifindex: u32, place: u32) -> io::Result<Attached> {
        let attributes = Attributes::new().descriptor(0, &self.0).word(4, ifindex);
        let mut attributes = attributes.word(8, place).word(12, FIRST);
        // SAFETY: no pointer among them.
        unsafe { bpf(LINK_CREATE, &mut attributes) }.map(Attached)
    }
}

/// A program on an interface. Dropping it, or the end of the process, takes it off.
#[derive(Debug)]
pub struct Attached(#[expect(dead_code, reason = "held, not read")] OwnedFd);
