//! Containers that end while no engine tells: dockerd is killed, a runtime is, somebody deletes a namespace.
//! The kernel tells the lab that their links are gone, and the lab us: what is kept of their places and
//! held for them, ports of the host's above all, goes at once.
//!
//! A thread of its own, for whoever hears of links is not to wait for the disk. It ends with the lab.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use lab::Lab;
use tokio::time::Instant;

use crate::daemon::Daemon;
use crate::error::{Error, Result};

/// Between two looks at links that could not be put back.
const AGAIN: Duration = Duration::from_secs(5);

/// Has ports noted that vanish, from now on.
pub(crate) fn hear(lab: &Lab) -> Receiver<String> {
    let (to, vanished) = channel();
    lab.tell_vanished(to);
    vanished
}

/// Ends the places that have them.
///
/// # Errors
/// Without a thread.
pub(crate) fn watch(daemon: &Arc<Daemon>, vanished: Receiver<String>) -> Result<()> {
    let daemon = Arc::downgrade(daemon);
    let run = move || {
        let mut again = Instant::now() + AGAIN;
        loop {
            let port = vanished.recv_timeout(again.saturating_duration_since(Instant::now()));
            let Some(daemon) = daemon.upgrade() else { return };
            match port {
                Ok(port) => daemon.vanished(&port),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if again <= Instant::now() {
                daemon.look_again();
                again = Instant::now() + AGAIN;
            }
        }
    };
    let started = thread::Builder::new().name("vanishing".into()).spawn(run);
    started.map(drop).map_err(|error| Error::Thread("the watch of places", error))
}
