//! Running something inside a network namespace.
//!
//! The namespace of a thread is a property of that thread, so the closure runs on a thread of its
//! own, which ends afterwards: no early return can leave the caller in the wrong place.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

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

/// Whether a namespace is one of a network, and not of another kind.
///
/// # Errors
/// `ENOTTY` where it is no namespace.
pub fn is_one(namespace: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: the request takes no argument, and answers by what it returns (linux/nsfs.h).
    let kind = unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_NSTYPE) };
    if kind < 0 { Err(io::Error::last_os_error()) } else { Ok(kind == libc::CLONE_NEWNET) }
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

/// Brings up the loopback of the calling thread's namespace; its index.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN there.
pub fn loopback_up() -> io::Result<u32> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: an all-zero ifreq is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).unwrap_or(0);
    // SAFETY: the kernel reads an ifreq, which outlives the call.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) } < 0 {
        return Err(operation("bringing up the loopback", io::Error::last_os_error()));
    }
    Ok(nix::net::if_::if_nametoindex("lo")?)
}

/// An IO error that names what was being done.
#[must_use]
pub fn operation(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
