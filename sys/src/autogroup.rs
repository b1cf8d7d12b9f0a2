//! The scheduling group of a session (`sched(7)`, "The autogroup feature"): the kernel shares the
//! cores out among sessions first, and among the threads of one only then.
//!
//! A session's part of a core grows with what it has had to do there in the last tenths of a second.
//! A switch that is woken for each frame and sleeps again has next to nothing to show for itself,
//! and waits for seconds where other sessions keep all cores busy, whatever its threads' own nice
//! values. The group's nice value is what counts then; a negative one takes CAP_SYS_NICE. It is
//! changed in a session that this process has begun, and in no other: it would be raised for all
//! programs there, and stay so after a SIGKILL. For a switch in another's session there is
//! [`crate::urgent`].

use std::io;

use nix::errno::Errno;
use nix::unistd::{getpid, getsid};

const OWN: &str = "/proc/self/autogroup";

/// The nice value asked for: the highest priority of `sched(7)` but one. It keeps a worker from
/// waiting, and no more: it sleeps when there is nothing to do.
const NICE: i32 = -19;

/// What became of a wish for more of the cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The session is this process' own and has its priority, for as long as there is anybody in it.
    Raised,
    /// There are no such groups, or somebody has set this one already: that stands.
    AsItWas,
    /// The session is somebody else's.
    NotOurs,
}

/// Raises the priority of the session, where this process has begun it.
///
/// # Errors
/// EPERM without CAP_SYS_NICE of the host's.
pub fn raise() -> io::Result<Outcome> {
    let Ok(text) = std::fs::read_to_string(OWN) else { return Ok(Outcome::AsItWas) };
    if getsid(None)? != getpid() {
        return Ok(Outcome::NotOurs);
    }
    if nice(&text) != Some(0) {
        return Ok(Outcome::AsItWas);
    }
    std::fs::write(OWN, NICE.to_string())?;
    Ok(Outcome::Raised)
}

/// Whether a session of this process' own would not wait behind others: it may raise the priority,
/// or there are no such groups.
#[must_use]
pub fn is_free() -> bool {
    !std::path::Path::new(OWN).exists() || may_raise()
}

/// Asks the kernel the same question for the calling thread, and puts back what was.
fn may_raise() -> bool {
    Errno::clear();
    // SAFETY: no memory is involved.
    let now = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    if Errno::last_raw() != 0 {
        return false;
    }
    // SAFETY: as above.
    let set = |nice| unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) } == 0;
    let may = set((now - 1).max(NICE - 1));
    let _ = set(now);
    may
}

/// The value in a line such as `/autogroup-18 nice 0`.
fn nice(line: &str) -> Option<i32> {
    line.trim_end().rsplit_once(" nice ")?.1.parse().ok()
}

#[cfg(test)]
#[test]
fn the_kernels_line_is_read() {
    assert_eq!(nice("/autogroup-18 nice 0\n"), Some(0));
    assert_eq!(nice("/autogroup-1203 nice -19\n"), Some(-19));
    assert_eq!(nice(""), None);
}
