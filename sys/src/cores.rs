//! The cores a thread may run on (`sched_setaffinity(2)`), and the time it has had of them.

use std::io;
use std::sync::OnceLock;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// The numbers of the cores that the calling thread may run on.
///
/// # Errors
/// What the kernel says.
pub fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect())
}

/// How many cores the machine may have: looked up the first time it is asked, in files that a thread
/// which forwards does not open ([`crate::confine`]).
#[must_use]
pub fn installed() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let count = sysconf(SysconfVar::_NPROCESSORS_CONF).ok().flatten();
        count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX)
    })
}

/// Has the calling thread run on these cores alone.
///
/// # Errors
/// EINVAL where it may run on none of them.
pub fn bind(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().try_for_each(|core| set.set(*core))?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Nanoseconds that the calling thread has run (`CLOCK_THREAD_CPUTIME_ID`).
#[must_use]
pub fn time() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |t| {
        let seconds = u64::try_from(t.tv_sec()).unwrap_or(0);
        seconds * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap_or(0)
    })
}
