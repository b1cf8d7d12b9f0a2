//! The scheduling group of a session (`sched(7)`, "The autogroup feature"): the kernel shares the
//! cores out among sessions first, and among the threads of one only then.
//!
//! A session's part of a core grows with what it has had to do there in the last tenths of a second.
//! A switch that is woken for each frame and sleeps again has next to nothing to show for itself,
//! and waits for seconds where other sessions keep all cores busy, whatever its threads' own nice
//! values. The group's nice value is what counts then; a negative one takes CAP_SYS_NICE.

use std::io;

use nix::errno::Errno;

const OWN: &str = "/proc/self/autogroup";

/// The nice value asked for: the highest priority of `sched(7)` but one. It keeps a worker from
/// waiting, and no more: it sleeps when there is nothing to do.
const NICE: i32 = -19;

/// The session's raised priority; dropping it puts back what was there.
#[derive(Debug)]
pub struct Raised(());

/// Raises the priority of the session this process is in, where somebody has not set it already.
/// None where there are no such groups, or it is left as it was set.
///
/// # Errors
/// EPERM without CAP_SYS_NICE of the host's.
pub fn raise() -> io::Result<Option<Raised>> {
    let Ok(text) = std::fs::read_to_string(OWN) else { return Ok(None) };
    if nice(&text) != Some(0) {
        return Ok(None);
    }
    std::fs::write(OWN, NICE.to_string())?;
    Ok(Some(Raised(())))
}

impl Drop for Raised {
    fn drop(&mut self) {
        // Giving way again is everybody's right.
        let _ = std::fs::write(OWN, "0");
    }
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
