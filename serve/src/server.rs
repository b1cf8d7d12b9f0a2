//! The socket where dockerd asks: HTTP/1.1, a POST a call; and beside it the one of plugins (`plugins`).
//! Served by a thread of its own; what is asked runs on a few threads beside, and further calls wait for
//! a place there.
//!
//! Who can open the sockets is root. A body is small, and one that is not is refused unread.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Uri, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use control::Calls;
use engine::docker;
use tokio::sync::{mpsc, oneshot};

use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::{names, plugins};

/// Calls at once.
const CALLS: usize = 8;
/// Bytes of a call: a container may publish thousands of ports.
const BODY: usize = 4 << 20;
/// What dockerd sends and wants to read (moby, pkg/plugins).
const JSON: &str = "application/vnd.docker.plugins.v1.2+json";

#[derive(Clone)]
struct Shared {
    daemon: Arc<Daemon>,
    calls: Arc<Calls>,
}

/// A socket that is listened at, and its file where that is ours.
pub(crate) struct Door {
    pub(crate) listener: UnixListener,
    pub(crate) path: Option<PathBuf>,
}

/// The running server; dropping it ends it.
pub(crate) struct Server {
    paths: Vec<PathBuf>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves at the doors of dockerd, if it is to have one, and of plugins; their files go with the
    /// server. Names are asked of `docker`.
    pub(crate) fn start(
        (docker_door, plugin_door): (Option<Door>, Door),
        daemon: &Arc<Daemon>,
        docker: PathBuf,
    ) -> Result<Self> {
        let failed = |error| Error::Thread("the server", error);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let mut paths = Vec::new();
        let mut open = |door: Door| {
            paths.extend(door.path);
            let _here = runtime.enter();
            door.listener.set_nonblocking(true)?;
            tokio::net::UnixListener::from_std(door.listener)
        };
        let (listener, plugins) = (docker_door.map(&mut open).transpose(), open(plugin_door));
        let (listener, plugins) = (listener.map_err(failed)?, plugins.map_err(failed)?);
        let calls = Arc::new(Calls::start("engine-call", CALLS).map_err(failed)?);
        let (asker, asked) = mpsc::unbounded_channel();
        daemon.name_by(asker);
        let shared = Shared { daemon: Arc::clone(daemon), calls };
        let beside = shared.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                runtime.block_on(async {
                    let naming = names::keep(
                        Arc::clone(&shared.daemon),
                        Arc::clone(&shared.calls),
                        docker,
                        asked,
                    );
                    let router = Router::new()
                        .fallback(call)
                        .layer(DefaultBodyLimit::max(BODY))
                        .with_state(shared);
                    let plugins = plugins::listen(plugins, beside.daemon, beside.calls);
                    let serving = async {
                        match listener {
                            Some(listener) => axum::serve(listener, router).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        ended = serving => {
                            if let Err(error) = ended {
                                tracing::error!("engines are no longer heard: {error}");
                            }
                        }
                        () = naming => {}
                        () = plugins => {}
                        _ = stopped => {}
                    }
                });
            })
            .map_err(failed)?;
        Ok(Self { paths, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for path in self.paths.drain(..) {
            let _ = std::fs::remove_file(path);
        }
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn call(State(shared): State<Shared>, uri: Uri, body: Bytes) -> impl IntoResponse {
    let Shared { daemon, calls } = shared;
    let path = uri.path().to_owned();
    let answered = calls.run(move || {
        let answer = docker::answer(&*daemon, &path, &body);
        tracing::debug!("{path} {} -> {answer}", String::from_utf8_lossy(&body));
        daemon.answered();
        answer
    });
    let lost = || r#"{"Err":"uswitch failed at this call: its log says where"}"#.to_owned();
    ([(CONTENT_TYPE, JSON)], answered.await.unwrap_or_else(|_| lost()))
}
