//! The end of a server that goes with its last container: one that a plugin has started. Nobody is let in
//! between the decision and the end; who asks then is told so, and asks the next one.
//!
//! In the folder of places a file says that the server is such a one: after a SIGKILL plugins may start
//! the next, which undoes what nobody else would.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use engine::Refusal;

use crate::daemon::Daemon;
use crate::error::{Doing, Error, Result};

/// The file in the folder of places.
const MARK: &str = "passing";
/// How long the first call may take to come.
const FIRST: Duration = Duration::from_secs(20);

/// How a server ends that goes with its last container.
pub struct Ending {
    /// How long it stays without any: one that is started anew finds it there.
    pub grace: Duration,
    /// Has the process end.
    pub end: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ending").field("grace", &self.grace).finish_non_exhaustive()
    }
}

/// Whether the server that has left these places was one that goes with its last container.
#[must_use]
pub fn was_passing(places: &Path) -> bool {
    places.join(MARK).exists()
}

/// Leaves word in the folder of places, or takes it back.
pub(crate) fn mark(places: &Path, passing: bool) -> Result<()> {
    let path = places.join(MARK);
    if passing {
        return std::fs::write(&path, "").doing("writing", &path);
    }
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).doing("removing", &path)
        }
        _ => Ok(()),
    }
}

/// Ends the server once it has had nothing to serve for a while; each call begins that anew.
pub(crate) fn watch(daemon: &Arc<Daemon>, ending: Ending) -> Result<()> {
    let (tell, called) = channel();
    let _ = daemon.calls.set(tell);
    let daemon = Arc::downgrade(daemon);
    thread::Builder::new()
        .name("ending".into())
        .spawn(move || wait(&daemon, &called, ending))
        .map_err(|error| Error::Thread("the wait for the last container", error))?;
    Ok(())
}

fn wait(daemon: &Weak<Daemon>, called: &Receiver<()>, ending: Ending) {
    let mut patience = FIRST;
    loop {
        match called.recv_timeout(patience) {
            Ok(()) => patience = ending.grace,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let leaves = daemon.upgrade().map(|daemon| daemon.leave());
                match leaves {
                    None => return,
                    Some(true) => return (ending.end)(),
                    Some(false) => {}
                }
                // What goes without a call says so too.
                if called.recv().is_err() {
                    return;
                }
                patience = ending.grace;
            }
        }
    }
}

impl Daemon {
    /// A call has been answered.
    pub(crate) fn answered(&self) {
        if let Some(calls) = self.calls.get() {
            let _ = calls.send(());
        }
    }

    /// Whether a plugin is in another network than a server that goes with its last container. A user's
    /// podman has ended the one that the server is in, with all ways out of it, and has made another: so
    /// the server ends at once, with whatever is left there.
    pub(crate) fn is_elsewhere(&self, fds: &[OwnedFd]) -> bool {
        let [plugin, _container] = fds else { return false };
        if self.calls.get().is_none() || self.lab.is_hosts(plugin.as_fd()) {
            return false;
        }
        let places: Vec<String> = self.tables().places.keys().cloned().collect();
        for endpoint in places {
            if let Err(why) = self.let_go(&endpoint) {
                tracing::error!("endpoint {endpoint}: {why}");
            }
        }
        true
    }

    /// Decides to end, if there is nothing to serve.
    fn leave(&self) -> bool {
        let _coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = self.count() == (0, 0);
        if idle {
            self.leaving.store(true, Ordering::Relaxed);
        }
        idle
    }

    /// Whether it has been decided. Whoever holds `coming` may rely on a no.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Refuses what is to stay, where nothing stays any more.
    pub(crate) fn stays(&self) -> std::result::Result<(), Refusal> {
        match self.is_leaving() {
            false => Ok(()),
            true => Err(Refusal::new("this server is about to end: try again in a moment")),
        }
    }
}
