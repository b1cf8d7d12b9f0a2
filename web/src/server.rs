//! The server: one listening socket, a current-thread runtime on a thread of its own, the sampler and
//! the thread that ends flows beside it. Started by `uswitch web`; dropping [`Page`] ends it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use control::{Entrance, Limits, no_listening, serve};
use tokio::sync::{Semaphore, watch};

use crate::flow::Flows;
use crate::handlers::{self, STREAMS, Web};
use crate::hub::Hub;
use crate::token::Token;
use crate::{guard, sampler};

/// Connections at once. A browser holds up to six, so that this is several browsers.
const CONNECTIONS: usize = 64;
/// Downloads at once: each takes one of the lab's places for those who look at frames.
const DOWNLOADS: usize = 2;

/// What to show, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The lab's name.
    pub lab: String,
    /// Its control socket.
    pub socket: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve a page on {address}: {}", no_listening(.error, .address))]
pub struct PageError {
    address: SocketAddr,
    // Told in the line itself, with the mend: no cause to be told again.
    error: io::Error,
}

/// A page that is being served.
pub struct Page {
    address: SocketAddr,
    token: Token,
    hub: Arc<Hub>,
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Page {
    /// Serves the page of a lab.
    ///
    /// # Errors
    /// Where the address or a thread cannot be had.
    pub fn start(options: &Options) -> Result<Self, PageError> {
        let failed = |error| PageError { address: options.listen, error };
        let listener = TcpListener::bind(options.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let token = Token::new().map_err(failed)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = {
            let _here = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(failed)?
        };
        let hub = Hub::new();
        sampler::start(&options.lab, &options.socket, Arc::clone(&hub)).map_err(failed)?;
        let (stop, running) = watch::channel(());
        let web = Web {
            lab: options.lab.as_str().into(),
            socket: options.socket.as_path().into(),
            address,
            token: token.clone(),
            hub: Arc::clone(&hub),
            streams: Arc::new(Semaphore::new(STREAMS)),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
            flows: Flows::start(&options.socket).map_err(failed)?,
            running: running.clone(),
        };
        let router = Router::new()
            .route("/", get(handlers::page))
            .route("/events", get(handlers::events))
            .route("/capture", get(handlers::capture))
            .fallback(handlers::unknown)
            .layer(from_fn_with_state(web.clone(), guard::guard))
            .with_state(web);
        let limits = Limits { connections: CONNECTIONS, ..Limits::default() };
        let run = move || runtime.block_on(serve(Entrance::Tcp(listener), router, limits, running));
        let thread = std::thread::Builder::new().name("web".into()).spawn(run).map_err(failed)?;
        Ok(Self { address, token, hub, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to open in a browser: whoever has it may look.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/#{}", self.address, self.token.as_str())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.hub.end();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
