//! Signals that end a lab: blocked in every thread, taken by one that waits for them.
//!
//! Called before any other thread starts, so that all inherit the mask. The first signal asks for
//! the end; later ones are the same wish and change nothing.
//!
//! What the caller had ignored stays so (POSIX: `nohup`, a script's job in the background). SIGTERM
//! is always heeded, for `uswitch down` asks by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal};

/// What ends a lab.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The signals, being waited for.
pub(crate) struct Signals {
    stop: Arc<AtomicBool>,
    arrived: Receiver<Signal>,
    tell: Sender<Signal>,
}

/// The signals, blocked in this thread and those it starts.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn block() -> anyhow::Result<SigSet> {
    let set: SigSet = ENDING.into_iter().filter(|signal| heeds(*signal)).collect();
    set.thread_block().context("blocking signals")?;
    Ok(set)
}

/// The signals, let through again in this thread.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn unblock() -> anyhow::Result<()> {
    let set: SigSet = ENDING.into_iter().collect();
    set.thread_unblock().context("letting signals through")
}

/// Whether this signal is to be acted upon.
pub(crate) fn heeds(signal: Signal) -> bool {
    signal == Signal::SIGTERM || !sys::inherited::ignores(signal)
}

impl Signals {
    /// Starts the thread that takes `set`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn catch(set: SigSet) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, arrived): (Sender<Signal>, _) = channel();
        let (flag, teller) = (Arc::clone(&stop), tell.clone());
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                while let Ok(signal) = set.wait() {
                    flag.store(true, Ordering::Relaxed);
                    if teller.send(signal).is_err() {
                        return;
                    }
                }
            })
            .context("starting a thread")?;
        Ok(Self { stop, arrived, tell })
    }

    /// Set once one has come.
    pub(crate) fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// Asks for the end as a signal would.
    pub(crate) fn ender(&self) -> impl FnOnce() + Send + use<> {
        let tell = self.tell.clone();
        move || _ = tell.send(Signal::SIGTERM)
    }

    /// Waits for one.
    pub(crate) fn wait(&self) -> Option<Signal> {
        self.arrived.recv().ok()
    }

    /// The one that came, if one has.
    pub(crate) fn arrived(&self) -> Option<Signal> {
        self.arrived.try_recv().ok()
    }
}
