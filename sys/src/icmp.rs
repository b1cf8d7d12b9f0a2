//! What an ICMP socket needs that no library offers: path MTU discovery per socket.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Whether the packets of a socket may be fragmented (ip(7), IP_MTU_DISCOVER).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// Don't Fragment is set; what is longer than the path carries is refused here.
    Do,
    /// Fragmented here where the path needs it.
    Want,
    /// Don't Fragment is not set.
    Dont,
    /// Don't Fragment is set; what the path carries is not looked at.
    Probe,
}

/// Sets it.
///
/// # Errors
/// The kernel's reason.
pub fn set_path_mtu_discovery(socket: BorrowedFd<'_>, fragment: Fragment) -> io::Result<()> {
    let value: libc::c_int = match fragment {
        Fragment::Do => libc::IP_PMTUDISC_DO,
        Fragment::Want => libc::IP_PMTUDISC_WANT,
        Fragment::Dont => libc::IP_PMTUDISC_DONT,
        Fragment::Probe => libc::IP_PMTUDISC_PROBE,
    };
    let length = libc::socklen_t::try_from(size_of_val(&value)).unwrap_or(0);
    // SAFETY: the pointer is to `value`, which outlives the call; `length` is its size; the
    // kernel reads it and keeps nothing.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            (&raw const value).cast(),
            length,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
