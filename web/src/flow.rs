//! Traces and captures on their way from the lab to one browser.
//!
//! Each is read by a thread of its own and handed on by a queue of [`QUEUE`] pieces: whoever reads
//! slowly makes the thread wait and the lab lose frames, which it counts and tells. A browser that goes
//! away has its flow ended at the lab by the one thread of [`Flows`], for the flow's own thread may be
//! waiting for a frame that never comes. At most [`FLOWS`] of those threads are there: one that has not
//! ended yet, with a lab that does not answer, counts.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use axum::http::StatusCode;
use control::api::{CaptureAsk, TraceAsk, TraceLine, Walk};
use control::{Client, ClientError};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::handlers::{Refusal, STREAMS};

/// Flows at once, those that are ending included: twice as many as there are pages.
const FLOWS: usize = 2 * STREAMS;
/// Pieces that wait for the browser.
const QUEUE: usize = 4;
/// Walks a second that a page is told; nobody reads more, and the others are counted.
const WALKS: u64 = 20;
const SECOND: u64 = 1_000_000_000;

/// What a flow hands on.
pub(crate) type Piece = Vec<u8>;

/// The browser's end of a flow. Dropping it ends the flow.
pub(crate) struct Flow {
    id: u64,
    flows: Flows,
    pieces: mpsc::Receiver<Piece>,
}

impl Flow {
    /// The next piece; None at the end.
    pub(crate) async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }

    /// Asks the lab to end it: what it still has to say comes first.
    pub(crate) fn end(&self) {
        self.flows.end(self.id);
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.end();
    }
}

/// The places for flows, and the thread that ends them, one after the other.
#[derive(Clone)]
pub(crate) struct Flows {
    ends: Sender<u64>,
    places: Arc<Semaphore>,
}

impl Flows {
    /// Starts the thread, which ends with the last of these.
    ///
    /// # Errors
    /// Where no thread is to be had.
    pub(crate) fn start(socket: &Path) -> io::Result<Self> {
        let (tell, told) = channel();
        let socket = socket.to_owned();
        let work = move || {
            for id in told {
                // One that has ended of its own, or with its lab, is what was wanted.
                let _ = Client::new(&socket).and_then(|client| client.end_flow(id));
            }
        };
        std::thread::Builder::new().name("ends".into()).spawn(work)?;
        Ok(Self { ends: tell, places: Arc::new(Semaphore::new(FLOWS)) })
    }

    fn end(&self, id: u64) {
        let _ = self.ends.send(id);
    }
}

/// The walks of the frames that `words` name (ports or nodes, then a filter), in the form of
/// server-sent events.
pub(crate) async fn follow(socket: &Path, flows: Flows, words: String) -> Result<Flow, Refusal> {
    start(socket, flows, "follow", move |client, begun, pieces| {
        let asked = || {
            let (ports, filter) = split(client, &words)?;
            client.trace(&TraceAsk { ports, filter, ..TraceAsk::default() })
        };
        let lines = match asked() {
            Ok(lines) => lines,
            Err(error) => return drop(begun.send(Err(error))),
        };
        if begun.send(Ok(lines.id())).is_err() {
            return;
        }
        let mut told = Told::default();
        for line in lines.map_while(Result::ok) {
            let text = told.line(line, sys::clock::now());
            if text.is_some_and(|text| pieces.blocking_send(text.into()).is_err()) {
                return;
            }
        }
    })
    .await
}

/// A capture file of so many frames at most.
pub(crate) async fn capture(
    socket: &Path,
    flows: Flows,
    words: String,
    count: u64,
) -> Result<Flow, Refusal> {
    start(socket, flows, "capture", move |client, begun, pieces| {
        let asked = || {
            let (ports, filter) = split(client, &words)?;
            let count = Some(count);
            client.capture(&CaptureAsk { ports, filter, count, ..CaptureAsk::default() })
        };
        let stream = match asked() {
            Ok(stream) => stream,
            Err(error) => return drop(begun.send(Err(error))),
        };
        if begun.send(Ok(stream.id())).is_err() {
            return;
        }
        for bytes in stream.map_while(Result::ok) {
            if pieces.blocking_send(bytes.into()).is_err() {
                return;
            }
        }
    })
    .await
}

type Begun = oneshot::Sender<Result<u64, ClientError>>;

/// Starts a thread that reads a flow, and waits until the lab has let it begin.
async fn start(
    socket: &Path,
    flows: Flows,
    name: &str,
    work: impl FnOnce(&Client, Begun, &mpsc::Sender<Piece>) + Send + 'static,
) -> Result<Flow, Refusal> {
    let place = Arc::clone(&flows.places).try_acquire_owned().map_err(|_| {
        let line = "packets are followed by others, or the lab does not answer: try again".into();
        Refusal(StatusCode::SERVICE_UNAVAILABLE, line)
    })?;
    let (begun, begins) = oneshot::channel();
    let (tell, pieces) = mpsc::channel(QUEUE);
    let socket = socket.to_owned();
    let body = move || {
        let _place = place;
        match Client::new(&socket) {
            Ok(client) => work(&client, begun, &tell),
            Err(error) => drop(begun.send(Err(error))),
        }
    };
    let thread = std::thread::Builder::new().name(name.into()).spawn(body);
    thread.map_err(|error| {
        Refusal(StatusCode::SERVICE_UNAVAILABLE, format!("no thread is to be had: {error}"))
    })?;
    match begins.await {
        Ok(Ok(id)) => Ok(Flow { id, flows, pieces }),
        Ok(Err(error)) => Err(refusal(&error)),
        Err(_) => Err(Refusal(StatusCode::BAD_GATEWAY, "the lab's answer was lost".into())),
    }
}

fn refusal(error: &ClientError) -> Refusal {
    let status = match error {
        ClientError::NoLab(_) | ClientError::Ended(_) => StatusCode::SERVICE_UNAVAILABLE,
        ClientError::Refused { status, .. } => {
            StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY)
        }
        ClientError::Denied(_) | ClientError::Broken { .. } => StatusCode::BAD_GATEWAY,
    };
    let line = match error {
        ClientError::NoLab(_) | ClientError::Ended(_) => "the lab does not run".into(),
        other => other.to_string(),
    };
    Refusal(status, line)
}

/// The words that name ports or nodes, and the filter that the others are, as `uswitch trace` has it.
fn split(client: &Client, words: &str) -> Result<(Vec<String>, String), ClientError> {
    let words: Vec<String> = words.split_whitespace().map(Into::into).collect();
    if words.is_empty() {
        return Ok(Default::default());
    }
    let status = StatusCode::UNPROCESSABLE_ENTITY.as_u16();
    let refused = |message| ClientError::Refused { status, message };
    control::split(&client.ports()?, &words).map_err(refused)
}

/// How many walks a page has been told of late.
#[derive(Default)]
struct Told {
    /// When the second began, and how many walks it has had.
    second: (u64, u64),
    /// Walks not told since the last that was.
    skipped: u64,
}

impl Told {
    /// What a line of the trace becomes at `now`; None where the page has enough.
    fn line(&mut self, line: TraceLine, now: u64) -> Option<String> {
        match line {
            TraceLine::Frame(walk) => self.walk(&walk, now),
            TraceLine::Lost { count } => {
                self.skipped += count;
                None
            }
            TraceLine::End { .. } => None,
        }
    }

    fn walk(&mut self, walk: &Walk, now: u64) -> Option<String> {
        if now.saturating_sub(self.second.0) >= SECOND {
            self.second = (now, 0);
        }
        self.second.1 += 1;
        if self.second.1 > WALKS {
            self.skipped += 1;
            return None;
        }
        let skipped = std::mem::take(&mut self.skipped);
        let text = json!({ "walk": walk, "skipped": skipped });
        Some(format!("event: walk\ndata: {text}\n\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_so_many_walks_a_second_and_how_many_it_was_not() {
        let mut told = Told::default();
        let walk = || TraceLine::Frame(Box::default());
        let first: Vec<_> = (0..100).filter_map(|_| told.line(walk(), 2 * SECOND)).collect();
        assert_eq!(first.len(), 20);
        assert!(first[0].starts_with("event: walk\ndata: {") && first[0].ends_with("\n\n"));
        assert_eq!(told.line(TraceLine::Lost { count: 5 }, 2 * SECOND), None);
        let next = told.line(walk(), 3 * SECOND).unwrap();
        assert!(next.contains("\"skipped\":85"), "{next}");
        assert!(told.line(walk(), 3 * SECOND).unwrap().contains("\"skipped\":0"));
    }
}
