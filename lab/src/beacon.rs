//! A witness outside the file system: an abstract socket, which a process listens on for as long as
//! it lives. The kernel says whose process that is (`SO_PEERCRED`), and the name goes with it.
//!
//! A lab has one beside its lock, so that it is found when its files are swept away, and one for its
//! block of ports. Any user can take any such name: only what a process of this user's says counts.
//! Nothing is ever read from it. Its thread takes callers off the queue, so that it never fills, and
//! keeps the lab's files from looking unused.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::time::Duration;

use nix::poll::PollTimeout;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::folder::Folder;
use crate::watch::{Stop, Watch, Woken};

#[cfg(test)]
mod tests;

/// From one touch of the lab's files to the next, in milliseconds: an hour.
const TOUCH: i32 = 3_600_000;
/// Tries, a millisecond apart, at a queue that is full.
const TRIES: u32 = 200;

/// The socket, listened on as long as this lives.
#[derive(Debug)]
pub(crate) struct Beacon {
    _watch: Option<Watch>,
    _listener: UnixListener,
}

/// Who listens on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) uid: u32,
    /// As this process sees it: 0 where it is of another process namespace.
    pub(crate) pid: i32,
}

impl Beacon {
    /// Listens under an abstract name, and keeps `folder` from looking unused.
    ///
    /// # Errors
    /// `AddrInUse` where somebody else does.
    pub(crate) fn light(name: &[u8], folder: Option<Folder>) -> io::Result<Self> {
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
        listener.set_nonblocking(true)?;
        let callers = listener.try_clone()?;
        let tend = move |stop| tend(&callers, folder.as_ref(), &stop);
        // Without the thread the queue holds a hundred callers, which does for most.
        let watch = Watch::start("beacon", tend).ok();
        Ok(Self { _watch: watch, _listener: listener })
    }
}

fn tend(callers: &UnixListener, folder: Option<&Folder>, stop: &Stop) {
    let hour = PollTimeout::try_from(TOUCH).unwrap_or(PollTimeout::NONE);
    loop {
        match stop.wait(callers.as_fd(), hour) {
            Ok(Woken::Ready) => drop(callers.accept()),
            Ok(Woken::Late) => {
                if let Some(folder) = folder {
                    folder.touch();
                }
            }
            Ok(Woken::Stop) | Err(_) => return,
        }
    }
}

/// Who listens under an abstract name; None where nobody does, or who cannot be told.
pub(crate) fn of_name(name: &[u8]) -> Option<Peer> {
    peer(&SocketAddrUnix::new_abstract_name(name).ok()?)
}

/// Who listens on a socket of the file system.
pub(crate) fn of_path(path: &Path) -> Option<Peer> {
    peer(&SocketAddrUnix::new(path).ok()?)
}

impl Peer {
    /// Whether it is this user's.
    pub(crate) fn is_ours(self) -> bool {
        self.uid == geteuid().as_raw()
    }
}

fn peer(address: &SocketAddrUnix) -> Option<Peer> {
    let mut tries = 0;
    loop {
        let socket = open().ok()?;
        match rustix::net::connect(&socket, address) {
            Ok(()) => {
                let found = getsockopt(&socket, PeerCredentials).ok()?;
                return Some(Peer { uid: found.uid(), pid: found.pid() });
            }
            Err(Errno::AGAIN) if tries < TRIES => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(_) => return None,
        }
    }
}

fn open() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}
