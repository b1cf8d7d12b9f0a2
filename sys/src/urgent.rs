//! Threads that run before all ordinary ones (`SCHED_RR`, `sched(7)`): a switch's part of the cores
//! where its session is somebody else's.
//!
//! The kernel shares the cores out among sessions first ([`crate::autogroup`]), and what a session
//! is given is its owner's to say. A thread of a real-time class is in no session's part: it gets a
//! core as soon as it wants one, and gives it back when it sleeps. What such threads take altogether
//! the kernel bounds (`sched_rt_runtime_us`: 95 % of a core). It is the thread's alone, and ends with
//! it. To ask takes CAP_SYS_NICE, which a lab gives up before it starts its threads.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use nix::unistd::gettid;

use crate::privilege::{self, Kind};

/// The lowest real-time priority: others' threads of the class come first.
const PRIORITY: libc::c_int = 1;

/// A thread of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread(libc::pid_t);

impl Thread {
    /// The calling one.
    #[must_use]
    pub fn own() -> Self {
        Self(gettid().as_raw())
    }
}

/// A thread that keeps the right when its process has given it up, and no other right. It ends once
/// it has been asked, or is let go.
#[derive(Debug)]
pub struct Helper {
    ask: SyncSender<Vec<Thread>>,
    thread: JoinHandle<io::Result<()>>,
}

impl Helper {
    /// Starts it: before this process gives up capabilities, which each thread has for itself, and
    /// once signals are blocked, for it takes none.
    ///
    /// # Errors
    /// When a thread cannot be had.
    pub fn start() -> io::Result<Self> {
        let (ask, asked) = sync_channel(1);
        let thread = std::thread::Builder::new().name("urgent".into());
        Ok(Self { ask, thread: thread.spawn(move || help(&asked))? })
    }

    /// Makes `threads` come first, as long as they live. What they start does not.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_NICE, or in a control group without real-time.
    pub fn raise(self, threads: Vec<Thread>) -> io::Result<()> {
        // One that has ended says why.
        let _ = self.ask.send(threads);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    }
}

fn help(asked: &Receiver<Vec<Thread>>) -> io::Result<()> {
    privilege::keep(&[Kind::CAP_SYS_NICE])?;
    asked.recv().unwrap_or_default().into_iter().try_for_each(come_first)
}

fn come_first(Thread(id): Thread) -> io::Result<()> {
    // The kernel's struct sched_param (uapi/linux/sched/types.h); musl's is larger, and its
    // sched_setscheduler does not ask the kernel.
    let priority: libc::c_int = PRIORITY;
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the kernel reads `priority` during the call and keeps nothing.
    let done =
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, id, policy, &raw const priority) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
