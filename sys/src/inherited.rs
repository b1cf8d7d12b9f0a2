//! What a process has from its caller, and what it lets go of: descriptors, the controlling
//! terminal; which signals it was told to ignore, which it outlives, and which a command begins with
//! blocked.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::raw::c_int;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// A listening socket that whoever started us has opened under this number. The socket is held by
/// another descriptor; that one stays.
///
/// # Errors
/// Where there is no such descriptor.
pub fn listener(fd: c_int) -> io::Result<std::os::unix::net::UnixListener> {
    // SAFETY: the copy is a descriptor that nobody else knows of.
    let copy = unsafe {
        let copy = Errno::result(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3))?;
        std::os::fd::OwnedFd::from_raw_fd(copy)
    };
    Ok(copy.into())
}

/// Has every descriptor but standard input, output and error closed in programs that this process
/// starts from now on.
///
/// # Errors
/// What the kernel says.
pub fn keep_descriptors() -> io::Result<()> {
    // SAFETY: flags of descriptors are changed, none is closed here.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    match Errno::result(done) {
        Ok(_) => Ok(()),
        // Before Linux 5.11; or a filter that does not know the call.
        Err(Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => one_by_one(),
        Err(error) => Err(error.into()),
    }
}

fn one_by_one() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<c_int>().ok());
        if let Some(fd) = number.filter(|fd| *fd > 2) {
            // SAFETY: a flag is set, of a descriptor that may be gone: then it is EBADF.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

/// Lets go of the controlling terminal, for a process that does not lead its session. One that has
/// none is done.
pub fn leave_terminal() {
    if let Ok(terminal) = std::fs::File::open("/dev/tty") {
        // SAFETY: no memory is involved.
        let _ = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY) };
    }
}

/// Whether `signal` is ignored: so were those who started us told, and it holds for us (`nohup`, or
/// a shell's job in the background of a script).
#[must_use]
pub fn ignores(signal: Signal) -> bool {
    let mut found = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is set, and the kernel fills what it is given.
    let asked = unsafe { libc::sigaction(signal as c_int, std::ptr::null(), found.as_mut_ptr()) };
    // SAFETY: zeroed at first, and all zeroes is a value of it.
    asked == 0 && unsafe { found.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Has a write beyond the limit of a file's size (`ulimit -f`) fail, with EFBIG, as one to a full disk
/// fails: SIGXFSZ ends no process from now on. It is caught and not ignored, for what is ignored
/// stays so in programs that this one starts or becomes, and those are to have it as we had it.
///
/// # Errors
/// What the kernel says.
pub fn outlive_file_limit() -> io::Result<()> {
    extern "C" fn heard(_: c_int) {}
    if ignores(Signal::SIGXFSZ) {
        return Ok(());
    }
    let action = SigAction::new(SigHandler::Handler(heard), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing, which is safe at any point of any thread.
    unsafe { sigaction(Signal::SIGXFSZ, &action) }?;
    Ok(())
}

#[cfg(test)]
#[test]
fn what_is_ignored_is_known() {
    // The standard library has SIGPIPE ignored.
    assert!(ignores(Signal::SIGPIPE));
    assert!(!ignores(Signal::SIGCHLD));
}

#[cfg(test)]
#[test]
fn descriptors_are_kept_from_programs_that_are_started() {
    for close in [keep_descriptors, one_by_one] {
        let file = std::fs::File::open("/proc/self/status").unwrap();
        // SAFETY: the copy is this test's, and is open.
        let copy = unsafe {
            let copy = libc::dup(file.as_raw_fd());
            std::fs::File::from_raw_fd(copy)
        };
        let flags = || {
            // SAFETY: a flag is read.
            unsafe { libc::fcntl(copy.as_raw_fd(), libc::F_GETFD) }
        };
        assert_eq!(flags(), 0, "dup clears it");
        close().unwrap();
        assert_eq!(flags(), libc::FD_CLOEXEC);
    }
}

/// Has a command begin with these signals blocked, whichever are blocked here when it is started: a child
/// inherits the mask, and one that blocks what ends it is ended by nobody.
pub fn hand_on(command: &mut Command, blocked: SigSet) -> &mut Command {
    let set = move || blocked.thread_set_mask().map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one call, sigprocmask, which is async-signal-safe; it
    // allocates nothing and takes no lock.
    unsafe { command.pre_exec(set) }
}
