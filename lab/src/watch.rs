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
