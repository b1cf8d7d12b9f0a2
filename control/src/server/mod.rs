//! The server: a thread of its own with a current-thread runtime, a socket only the owner opens.
//!
//! The lab starts it and stops it (or drops it). Clients are not trusted to be quick: the number
//! of connections is bounded and one more is told so and closed; headers, bodies and answers have
//! their time; requests and answers their size. Calls into the lab run on a few threads beside,
//! and when those are taken for too long the client is told 503. Memory is therefore at most
//! connections × (buffer + one page), whatever clients do.

pub(crate) mod accept;
pub(crate) mod calls;
mod groups;
mod guard;
mod handlers;
mod routes;
mod said;
mod stream;
#[cfg(test)]
mod tests;

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::Door;
use accept::Entrance;
use calls::Calls;

pub(crate) use handlers::FLOW_ID;
#[cfg(test)]
pub(crate) use routes::ROUTES;

/// The API for other clients.
pub const OPENAPI: &str = include_str!("../../openapi.json");

/// Bounds on what clients can take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; one more is told 503 and closed.
    pub connections: usize,
    /// Event streams at once, of those connections.
    pub streams: usize,
    /// Calls into the lab at once.
    pub calls: usize,
    /// Time for a request's headers, and for an idle connection.
    pub header: Duration,
    /// Time for a request's body.
    pub body: Duration,
    /// Time for the lab's part.
    pub call: Duration,
    /// Time a client may leave an answer unread.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            streams: 16,
            calls: 4,
            header: Duration::from_secs(5),
            body: Duration::from_secs(5),
            call: Duration::from_secs(30),
            stall: Duration::from_secs(30),
        }
    }
}

/// Why the door does not open.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The path does not fit a socket's address.
    #[error(
        "{} is too long for a socket's path: set USWITCH_RUN_DIR to a shorter one", .0.display()
    )]
    PathTooLong(PathBuf),
    /// A step failed.
    #[error("cannot {what} {}", .path.display())]
    Io {
        /// The step.
        what: &'static str,
        /// On which object.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A running server. Dropping it removes the socket and stops it; answers that are under way are
/// read to their end, if that is soon.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Opens `path` (its directory is made 0700 where it is missing, a socket left over from a
    /// crash is replaced: the caller holds the lab's lock) and serves `door`.
    pub fn start(path: &Path, door: Arc<dyn Door>, limits: Limits) -> Result<Self, ServerError> {
        let listener = bind(path)?;
        let failed = |what| move |source| ServerError::Io { what, path: path.into(), source };
        listener.set_nonblocking(true).map_err(failed("set up"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed("start a runtime for"))?;
        let threads = limits.calls.max(1);
        let calls = Calls::start("control-call", threads).map_err(failed("start threads for"))?;
        let calls = Arc::new(calls);
        let listener = {
            let _here = runtime.enter();
            tokio::net::UnixListener::from_std(listener).map_err(failed("listen on"))?
        };
        let (stop, running) = watch::channel(());
        let thread = std::thread::Builder::new()
            .name("control".into())
            .spawn(move || {
                runtime.block_on(async {
                    let alive = running.clone();
                    let shared = handlers::Shared::new(door, Arc::clone(&calls), limits, alive);
                    let router = routes::router(shared);
                    accept::serve(Entrance::Unix(listener), router, limits, running).await;
                    // A call that hangs in the lab must not keep the lab from ending.
                    calls.rest(Duration::from_secs(1)).await;
                });
            })
            .map_err(failed("start a thread for"))?;
        Ok(Self { path: path.into(), stop: Some(stop), thread: Some(thread) })
    }

    /// Where clients find it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Removed first, so that a client sees "no lab" rather than a door that closes on it.
        let _ = std::fs::remove_file(&self.path);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn bind(path: &Path) -> Result<UnixListener, ServerError> {
    let failed = |what| move |source| ServerError::Io { what, path: path.into(), source };
    // sun_path is 108 bytes with its terminator.
    if path.as_os_str().len() > 107 {
        return Err(ServerError::PathTooLong(path.into()));
    }
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed("make the directory of"))?;
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700))
            .map_err(failed("close to others the directory of"))?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove the old")(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed("listen on"))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))
        .map_err(failed("close to others"))?;
    Ok(listener)
}
