//! Waiting until every core is through with what it had at hand (`membarrier(2)`).
//!
//! A program that ran on a frame while something was changed has ended when this returns: a grace
//! period of the kernel's RCU, under which such programs run.

use std::io;

/// `MEMBARRIER_CMD_GLOBAL`, since Linux 4.3.
const GLOBAL: libc::c_int = 1;

/// Waits for a grace period: some milliseconds.
///
/// # Errors
/// ENOSYS of a kernel without the call; EINVAL where some cores run without ticks (nohz_full).
pub fn wait() -> io::Result<()> {
    // SAFETY: takes no pointer.
    let done = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
#[test]
fn a_grace_period_ends() {
    wait().unwrap();
}
