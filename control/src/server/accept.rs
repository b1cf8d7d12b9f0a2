//! Accepting: one task a connection, a bounded number of them, and HTTP/1.1 with its timeouts.
//!
//! When all places are taken, a newcomer is told 503 and closed: once it has asked, and so many of
//! them at a time; those beyond are told at once, without being read. At the end answers that are under way have [`GRACE`] to be read to their end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};

use super::Limits;
use super::guard::Unstalled;

/// Bytes of a request's headers, and of what hyper buffers for a connection.
const BUFFER: usize = 16 * 1024;

/// Time for answers that are under way when the server stops.
const GRACE: Duration = Duration::from_secs(1);

/// Milliseconds until a client that could not be accepted is tried again; told once a second.
const PAUSE: u64 = 100;

/// Newcomers that are told so at the same time, how long that may take, and how long one may take to
/// ask before it is told without.
const REFUSALS: usize = 64;
const REFUSAL: Duration = Duration::from_secs(1);
const ASKING: Duration = Duration::from_millis(300);

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\nconnection: close\r\ncontent-length: 72\r\n\r\n\
    {\"error\":\"too many clients at the lab's door: close some and try again\"}";

/// Where clients come from.
#[derive(Debug)]
pub enum Entrance {
    /// The control socket.
    Unix(UnixListener),
    /// An address: of the metrics, or of a lab's page.
    Tcp(TcpListener),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Entrance {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// Resolves once the server is to stop: its end of the channel is dropped.
pub(super) async fn over(mut running: watch::Receiver<()>) {
    while running.changed().await.is_ok() {}
}

/// Serves `router` until the other end of `running` is dropped: to `limits.connections` clients at
/// once, each under the limits of time.
pub async fn serve(
    entrance: Entrance,
    router: axum::Router,
    limits: Limits,
    running: watch::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let service = TowerToHyperService::new(router);
    let accept = async {
        let mut failures = 0;
        loop {
            match entrance.accept().await {
                Ok(stream) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => {
                        let (service, end) = (service.clone(), over(running.clone()));
                        tokio::spawn(async move {
                            if let Err(error) = connection(stream, service, limits, end).await {
                                tracing::debug!("control connection: {error}");
                            }
                            drop(place);
                        });
                    }
                    Err(_) => match Arc::clone(&refusals).try_acquire_owned() {
                        Ok(place) => {
                            tokio::spawn(async move {
                                let _ = tokio::time::timeout(REFUSAL, refuse(stream)).await;
                                drop(place);
                            });
                        }
                        Err(_) => refuse_at_once(stream),
                    },
                },
                Err(error) => {
                    // Out of descriptors, as a rule: give the others time to end.
                    if failures % (1_000 / PAUSE) == 0 {
                        tracing::warn!("cannot accept a client: {error}");
                    }
                    failures += 1;
                    tokio::time::sleep(Duration::from_millis(PAUSE)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = over(running.clone()) => {}
    }
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(GRACE, places.acquire_many(all)).await;
}

async fn connection(
    stream: Box<dyn Stream>,
    service: TowerToHyperService<axum::Router>,
    limits: Limits,
    end: impl Future<Output = ()>,
) -> Result<(), hyper::Error> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(Unstalled::new(stream, limits.stall)), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        done = connection.as_mut() => return done,
        () = end => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// Answers a request with [`BUSY`]. The request is read, for a client that is answered before it has
/// asked, or cut off while it asks, sees a broken connection and not the answer.
async fn refuse(mut stream: Box<dyn Stream>) {
    let mut request = [0; 1024];
    let asked = tokio::time::timeout(ASKING, stream.read(&mut request)).await;
    if matches!(asked, Ok(Ok(0) | Err(_))) || stream.write_all(BUSY).await.is_err() {
        return;
    }
    let _ = stream.shutdown().await;
    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
}

fn refuse_at_once(mut stream: Box<dyn Stream>) {
    // What does not fit an empty socket buffer at once is not worth waiting for.
    let mut cx = Context::from_waker(Waker::noop());
    if let Poll::Ready(Err(error)) = Pin::new(&mut stream).poll_write(&mut cx, BUSY) {
        tracing::debug!("a refused client was gone: {error}");
    }
}

#[cfg(test)]
#[test]
fn the_refusal_is_well_formed() {
    let text = std::str::from_utf8(BUSY).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.ends_with(&format!("content-length: {}", body.len())), "{}", body.len());
    let problem: crate::api::Problem = serde_json::from_str(body).unwrap();
    assert!(problem.error.contains("too many clients"));
}
