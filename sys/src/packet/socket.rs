//! Opening packet sockets and setting their options, each error named after its operation.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::netns::operation;

/// `PACKET_IGNORE_OUTGOING` (linux/if_packet.h), which libc does not name everywhere.
pub(super) const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// `PACKET_FANOUT_FLAG_IGNORE_OUTGOING`: a fanout group hooks the tap itself, so that the option of
/// its members does not count and the group has to be told.
pub(super) const FANOUT_IGNORE_OUTGOING: libc::c_uint = 0x4000;

/// `LOOPBACK_IFINDEX`: its number in every namespace.
const LOOPBACK: u32 = 1;

/// A raw packet socket of the calling thread's namespace that receives nothing yet.
pub(super) fn open() -> io::Result<OwnedFd> {
    // SAFETY: plain system call; the result is checked before it is owned.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(operation("opening a packet socket", io::Error::last_os_error()));
    }
    // SAFETY: fd is open and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets one option of any plain type.
pub(super) fn set<T: Copy>(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: T,
    what: &str,
) -> io::Result<()> {
    let len = libc::socklen_t::try_from(mem::size_of::<T>()).unwrap_or(0);
    // SAFETY: the pointer covers `len` bytes of a value that outlives the call.
    let rc =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), len) };
    if rc == 0 { Ok(()) } else { Err(operation(what, io::Error::last_os_error())) }
}

/// Starts receiving from one interface of the namespace, or from every one (0).
pub(super) fn bind(fd: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    let address = link_address(ifindex);
    let len = libc::socklen_t::try_from(mem::size_of::<libc::sockaddr_ll>()).unwrap_or(0);
    // SAFETY: address is a whole sockaddr_ll that outlives the call.
    let rc = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) };
    if rc == 0 {
        Ok(())
    } else {
        Err(operation("binding the packet ring", io::Error::last_os_error()))
    }
}

/// Ends receiving, but from loopback, which in a namespace of ours is down: the kernel takes no
/// interface for all, and no protocol for "as before". Waits until no frame is on its way to the
/// socket any more; binding it again then waits for nothing.
pub(super) fn unbind(fd: BorrowedFd<'_>) -> io::Result<()> {
    bind(fd, LOOPBACK)
}

/// A `sockaddr_ll` that means interface `ifindex`, all protocols.
pub(super) fn link_address(ifindex: u32) -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or(17),
        sll_protocol: u16::try_from(libc::ETH_P_ALL).unwrap_or(3).to_be(),
        sll_ifindex: i32::try_from(ifindex).unwrap_or(-1),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}
