//! A filter on a packet socket, classic (`linux/filter.h`) or a program: what does not pass costs neither a
//! slot of the ring nor a wake-up.
//!
//! Put together by the caller, attached before the socket receives anything.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::socket;
use crate::bpf::Program;

/// What a ring takes of what its socket sees.
#[derive(Clone, Debug, Default)]
pub enum Pass {
    /// All of it.
    #[default]
    All,
    /// What a classic filter lets in.
    Filter(Arc<[FilterOp]>),
    /// What a program lets in.
    Program(Arc<Program>),
}

/// One instruction (`struct sock_filter`). Jumps count from the instruction after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterOp {
    /// Which.
    pub code: u16,
    /// Where to go on where the condition holds.
    pub then: u8,
    /// And where it does not.
    pub otherwise: u8,
    /// Its operand.
    pub value: u32,
}

/// Takes away what is attached. It fails where nothing is, and then there is nothing to do.
pub(super) fn detach(fd: BorrowedFd<'_>) {
    let _ = socket::set(fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0i32, "");
}

/// Puts what a ring takes before its socket.
pub(super) fn put(fd: BorrowedFd<'_>, pass: &Pass) -> io::Result<()> {
    match pass {
        Pass::All => Ok(()),
        Pass::Filter(ops) => attach(fd, ops),
        Pass::Program(program) => program.filter(fd),
    }
}

/// Attaches a classic filter.
pub(super) fn attach(fd: BorrowedFd<'_>, ops: &[FilterOp]) -> io::Result<()> {
    let native = |op: &FilterOp| libc::sock_filter {
        code: op.code,
        jt: op.then,
        jf: op.otherwise,
        k: op.value,
    };
    let mut native: Vec<_> = ops.iter().map(native).collect();
    let program = libc::sock_fprog {
        len: u16::try_from(native.len()).unwrap_or(u16::MAX),
        filter: native.as_mut_ptr(),
    };
    socket::set(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, program, "filtering the packet ring")
}
