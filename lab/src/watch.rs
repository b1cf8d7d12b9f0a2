//! A thread that waits for a descriptor until it is told to end. Used by the watches of links and
//! of the uplink; they hold the lab weakly, and their threads end when this is dropped.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{Doing, Result};

/// A running watch; dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Watch {
    pipe: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

/// Watches of the host, each where something of the lab needs it.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// Of its addresses, where containers are served.
    pub(crate) addresses: Option<Watch>,
    /// Of rules that forward ports, where containers are served behind an address of its.
    pub(crate) rules: Option<Watch>,
    /// Of what its tunnels send by.
    pub(crate) underlay: Option<Watch>,
}

impl Watches {
    /// Those there are, to be ended.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There is something to read.
    Ready,
    /// The time is up.
    Late,
    /// The lab is being stopped.
    Stop,
}

/// When to look once more at what has changed: of a link or an address the kernel tells before it takes the
/// routes that go with it, and tells nothing of those. However much else is told meanwhile, that moment
/// comes.
#[derive(Debug, Default)]
pub(crate) struct Again(Option<u64>);

impl Again {
    /// How long after the first change: nanoseconds.
    const AFTER: u64 = 200_000_000;

    /// Whether the moment has come. Where something has changed another is set, unless one is to come still.
    pub(crate) fn due(&mut self, changed: bool, now: u64) -> bool {
        let due = self.0.take_if(|at| *at <= now).is_some();
        if changed {
            self.0.get_or_insert(now + Self::AFTER);
        }
        due
    }

    /// How long to wait for it.
    pub(crate) fn patience(&self, now: u64) -> PollTimeout {
        let millis = |at: u64| at.saturating_sub(now).div_ceil(1_000_000);
        self.0.map_or(PollTimeout::NONE, |at| {
            PollTimeout::try_from(millis(at)).unwrap_or(PollTimeout::MAX)
        })
    }
}

/// The end of the pipe that says when to stop.
pub(crate) struct Stop(PipeReader);

impl Watch {
    /// Starts `run` on a thread called `name`.
    pub(crate) fn start(name: &str, run: impl FnOnce(Stop) + Send + 'static) -> Result<Self> {
        let (stop, pipe) = std::io::pipe().doing(|| "making a pipe".into())?;
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || run(Stop(stop)))
            .doing(|| "starting a thread".into())?;
        Ok(Self { pipe: Some(pipe), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.pipe.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl Stop {
    /// Waits until `fd` is readable, the time is up, or the watch has to end.
    pub(crate) fn wait(
        &self,
        fd: BorrowedFd<'_>,
        timeout: PollTimeout,
    ) -> std::result::Result<Woken, Errno> {
        let mut ready =
            [PollFd::new(fd, PollFlags::POLLIN), PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, timeout) {
            Ok(0) => return Ok(Woken::Late),
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Woken::Ready),
            Err(error) => return Err(error),
        }
        let stop = ready[1].revents().is_some_and(|events| !events.is_empty());
        Ok(if stop { Woken::Stop } else { Woken::Ready })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_looked_at_once_more_however_much_is_told() {
        let at = |millis: u64| millis * 1_000_000;
        let mut again = Again::default();
        assert!(!again.due(false, at(0)));
        assert_eq!(again.patience(at(0)), PollTimeout::NONE);
        assert!(!again.due(true, at(1000)));
        assert_eq!(again.patience(at(1050)), PollTimeout::from(150_u8));
        // Neither another change nor one that matters to nobody puts it off.
        assert!(!again.due(true, at(1100)) && !again.due(false, at(1199)));
        assert!(again.due(false, at(1200)));
        assert!(!again.due(false, at(1300)));
        // A change that is heard of at that moment has one of its own.
        assert!(!again.due(true, at(2000)) && again.due(true, at(2200)));
        assert!(again.due(false, at(2400)));
    }
}
