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

use crate::metrics::classic;
use crate::server::accept::{Entrance, serve};
use crate::{Door, Limits};

/// Why the metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics on {address}: {source}")]
pub struct ExporterError {
    address: SocketAddr,
    source: io::Error,
}

/// A running exporter. Dropping it stops it.
#[derive(Debug)]
pub struct Exporter {
    address: SocketAddr,
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Serves `door`'s metrics on `address`; port 0 takes a free one.
    pub fn start(address: SocketAddr, door: Arc<dyn Door>) -> Result<Self, ExporterError> {
        let failed = |source| ExporterError { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let limits = Limits { connections: 16, ..Limits::default() };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .thread_name("metrics-call")
            .build()
            .map_err(failed)?;
        let (stop, running) = watch::channel(());
        let run = move || {
            runtime.block_on(async {
                let entrance = match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => Entrance::Tcp(listener),
                    Err(error) => return tracing::error!("metrics are not served: {error}"),
                };
                let router = Router::new().route("/metrics", get(scrape)).with_state(door);
                serve(entrance, router, limits, running).await;
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
        };
        let thread = std::thread::Builder::new().name("metrics".into()).spawn(run);
        let thread = Some(thread.map_err(failed)?);
        Ok(Self { address: bound, stop: Some(stop), thread })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
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

async fn scrape(State(door): State<Arc<dyn Door>>, asked: HeaderMap) -> Response {
    let accept = asked.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let newer = accept.is_some_and(classic::wants_openmetrics);
    match tokio::task::spawn_blocking(move || crate::openmetrics(&*door)).await {
        Ok(text) if newer => answer(crate::metrics::CONTENT_TYPE, text),
        Ok(text) => answer(classic::CONTENT_TYPE, classic::classic(&text)),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn answer(kind: &'static str, text: String) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::VARY, "accept")], text).into_response()
}
