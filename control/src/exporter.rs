//! The metrics over HTTP, for a Prometheus that scrapes: `run --metrics ADDR`.
//!
//! `GET /metrics` and nothing else, OpenMetrics to those who ask for it and Prometheus' older text
//! to all others, on a thread of its own, under the same bounds as the door. It speaks to anyone
//! who reaches the address, so the command takes loopback addresses by default and says so for
//! others; it can change nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;

use crate::listen::no_listening;
use crate::metrics::classic;
use crate::server::accept::{Entrance, serve};
use crate::server::calls::Calls;
use crate::{Door, Limits};

/// Why the metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics on {address}: {}", no_listening(.error, .address))]
pub struct ExporterError {
    address: SocketAddr,
    // Told in the line itself, with the mend: no cause to be told again.
    error: io::Error,
}

/// A running exporter. Dropping it stops it.
#[derive(Debug)]
pub struct Exporter {
    address: SocketAddr,
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The address, taken: nothing is served yet, and whoever connects waits.
#[derive(Debug)]
pub struct Reserved {
    address: SocketAddr,
    listener: std::net::TcpListener,
}

impl Exporter {
    /// Takes `address` for later; port 0 takes a free one. One below 1024 is root's to take, who
    /// may have given up that right when there is something to serve.
    pub fn reserve(address: SocketAddr) -> Result<Reserved, ExporterError> {
        let failed = |error| ExporterError { address, error };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Reserved { address, listener })
    }

    /// Serves `door`'s metrics on `address`; port 0 takes a free one.
    pub fn start(address: SocketAddr, door: Arc<dyn Door>) -> Result<Self, ExporterError> {
        Self::reserve(address)?.serve(door)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Reserved {
    /// Serves `door`'s metrics there.
    pub fn serve(self, door: Arc<dyn Door>) -> Result<Exporter, ExporterError> {
        let address = self.address;
        let failed = |error| ExporterError { address, error };
        let limits = Limits { connections: 16, ..Limits::default() };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let calls = Arc::new(Calls::start("metrics-call", 1).map_err(failed)?);
        let listener = {
            let _here = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener).map_err(failed)?
        };
        let (stop, running) = watch::channel(());
        let run = move || {
            runtime.block_on(async {
                let state = (door, Arc::clone(&calls));
                let router = Router::new().route("/metrics", get(scrape)).with_state(state);
                serve(Entrance::Tcp(listener), router, limits, running).await;
                calls.rest(Duration::from_secs(1)).await;
            });
        };
        let thread = std::thread::Builder::new().name("metrics".into()).spawn(run);
        let thread = Some(thread.map_err(failed)?);
        Ok(Exporter { address, stop: Some(stop), thread })
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn scrape(
    State((door, calls)): State<(Arc<dyn Door>, Arc<Calls>)>,
    asked: HeaderMap,
) -> Response {
    let accept = asked.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let newer = accept.is_some_and(classic::wants_openmetrics);
    match calls.run(move || crate::openmetrics(&*door)).await {
        Ok(text) if newer => answer(crate::metrics::CONTENT_TYPE, text),
        Ok(text) => answer(classic::CONTENT_TYPE, classic::classic(&text)),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn answer(kind: &'static str, text: String) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::VARY, "accept")], text).into_response()
}
