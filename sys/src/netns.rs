//! Running something inside a network namespace.
//!
//! The namespace of a thread is a property of that thread, so the closure runs on a thread of its
//! own, which ends afterwards: no early return can leave the caller in the wrong place.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sched::{CloneFlags, setns};

/// Runs `work` on a fresh thread that has entered the network namespace `netns`.
///
/// # Errors
/// When the thread cannot be started or the namespace cannot be entered; a panic of `work` comes
/// back as an error too.
pub fn inside<T: Send>(
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    apart(|| {
        enter(netns)?;
        work()
    })
}

/// Runs `work` on a thread of its own, whose namespaces end with it.
///
/// # Errors
/// Those of `work`; EAGAIN where no thread is to be had.
pub fn apart<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, work)
            .map_err(|e| operation("starting a thread", e))?
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
    })
}

/// Moves the calling thread there, for good: a thread of its own.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN there.
pub fn enter(netns: BorrowedFd<'_>) -> io::Result<()> {
    setns(netns, CloneFlags::CLONE_NEWNET)
        .map_err(|e| operation("entering the network namespace", e.into()))
}

/// The number the kernel has given to the calling thread's network namespace, and gives to no other
/// until it is started anew (`SO_NETNS_COOKIE`).
///
/// # Errors
/// `ENOPROTOOPT` before Linux 5.14.
pub fn cookie() -> io::Result<u64> {
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    let mut cookie = 0_u64;
    let mut length: libc::socklen_t = 8;
    // SAFETY: the kernel writes at most `length` bytes to `cookie`, which has eight.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            std::ptr::from_mut(&mut cookie).cast(),
            &raw mut length,
        )
    };
    if done == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}

/// An IO error that names what was being done.
#[must_use]
pub fn operation(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
