//! The process that holds a lab. Which one that is, the kernel says: as the peer of a socket it
//! listens on, or as the owner of its lock; never a number in a file. It is held by a pidfd, so what
//! is sent to it reaches no other process, and it is this user's.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::beacon::Peer;

/// A process of this user's.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    fd: OwnedFd,
}

impl Process {
    /// The process that `witness` names both before and after it is held: so it is the one that is
    /// held, and not another that got its number meanwhile.
    pub(crate) fn by(witness: impl Fn() -> Option<Peer>) -> Option<Self> {
        let named = witness().filter(|peer| peer.is_ours())?;
        let pid = Pid::from_raw(named.pid)?;
        // The first process of a system is no lab unless it is this very program.
        if pid.is_init() && !is_this_program(pid) {
            return None;
        }
        let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        (witness() == Some(named)).then_some(Self { pid, fd })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends it a signal. That it has ended is no error.
    pub(crate) fn signal(&self, signal: Signal) -> std::io::Result<()> {
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits for its end; false where that takes longer.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        let time =
            i32::try_from(time.as_millis()).ok().and_then(|ms| PollTimeout::try_from(ms).ok());
        let mut ends = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        poll(&mut ends, time.unwrap_or(PollTimeout::NONE)).is_ok_and(|count| count > 0)
    }

    /// Whether it is ending: its first thread has, or all of them, or it has been killed and the kernel
    /// has not come to it yet.
    pub(crate) fn is_dying(&self) -> bool {
        if self.ends_within(Duration::ZERO) {
            return true;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        status.is_ok_and(|text| is_end(&text))
    }

    /// Opens something of its folder in /proc, and sees that it was still alive then.
    pub(crate) fn open(&self, name: &str) -> std::io::Result<File> {
        let opened = File::open(format!("/proc/{}/{name}", self.id()))?;
        if self.ends_within(Duration::ZERO) {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        Ok(opened)
    }

    /// The network namespace of that inode, if it holds one.
    pub(crate) fn namespace(&self, inode: u64) -> std::io::Result<Option<File>> {
        let wanted = format!("net:[{inode}]");
        for entry in std::fs::read_dir(format!("/proc/{}/fd", self.id()))? {
            let entry = entry?;
            let is = std::fs::read_link(entry.path()).is_ok_and(|at| at.as_os_str() == &*wanted);
            if is && let Some(number) = entry.file_name().to_str() {
                return self.open(&format!("fd/{number}")).map(Some);
            }
        }
        Ok(None)
    }
}

/// Whether a process with this status, as `/proc/PID/status` has it, is ended or about to be.
fn is_end(status: &str) -> bool {
    const KILL: u64 = 1 << (Signal::KILL.as_raw() - 1);
    let pending = |set: &str| u64::from_str_radix(set.trim(), 16).is_ok_and(|set| set & KILL != 0);
    status.lines().any(|line| match line.split_once(':') {
        Some(("State", state)) => state.contains('Z'),
        Some(("SigPnd" | "ShdPnd", set)) => pending(set),
        _ => false,
    })
}

fn is_this_program(pid: Pid) -> bool {
    let program = |of: &str| {
        let found = std::fs::metadata(format!("/proc/{of}/exe")).ok()?;
        Some((found.dev(), found.ino()))
    };
    let theirs = program(&pid.as_raw_nonzero().to_string());
    theirs.is_some() && theirs == program("self")
}

/// Who has a lock on `file`, from the kernel's list.
pub(crate) fn of_lock(file: &File) -> Option<Peer> {
    let found = file.metadata().ok()?;
    let (major, minor) = (nix::sys::stat::major(found.dev()), nix::sys::stat::minor(found.dev()));
    let table = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = owner(&table, &format!("{major:02x}:{minor:02x}:{}", found.ino()))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    Some(Peer { uid: uids.split_whitespace().nth(1)?.parse().ok()?, pid })
}

/// The owner of a whole-file lock in a table such as
/// `1: FLOCK  ADVISORY  WRITE 4711 00:1a:815 0 EOF`.
fn owner(table: &str, inode: &str) -> Option<i32> {
    table.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [_, "FLOCK", _, "WRITE", pid, of, ..] if of == inode => pid.parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{is_end, owner};

    #[test]
    fn who_is_killed_is_ending_before_it_is_gone() {
        let status = |state: &str, own: &str, shared: &str| {
            format!("Name:\tuswitch\nState:\t{state}\nSigPnd:\t{own}\nShdPnd:\t{shared}\n")
        };
        let (none, kill) = ("0000000000000000", "0000000000000100");
        assert!(!is_end(&status("S (sleeping)", none, none)));
        assert!(!is_end(&status("S (sleeping)", none, "0000000000004000")));
        assert!(is_end(&status("Z (zombie)", none, none)));
        assert!(is_end(&status("D (disk sleep)", none, kill)));
        assert!(is_end(&status("R (running)", kill, none)));
    }

    #[test]
    fn the_owner_of_a_lock_is_told() {
        let table = "1: POSIX  ADVISORY  WRITE 7 00:1a:815 0 EOF\n\
                     2: FLOCK  ADVISORY  READ 8 00:1a:815 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 4711 00:1a:815 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 9 00:1a:816 0 EOF\n";
        assert_eq!(owner(table, "00:1a:815"), Some(4711));
        assert_eq!(owner(table, "00:1a:816"), None);
        assert_eq!(owner("", "00:1a:815"), None);
    }
}
