//! What each path answers: the page, the stream of what it shows, a capture file.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{self, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::flow::{self, Flow, Flows};
use crate::hub::{Hub, Listener, Pace};
use crate::token::Token;

/// Streams at once: a tab has one.
pub(crate) const STREAMS: usize = 8;

/// The page, whole: no other file belongs to it.
const PAGE: &str = include_str!("page.html");
/// Where in it the nonce belongs.
const NONCE: &str = "NONCE";

/// What all requests share.
#[derive(Clone)]
pub(crate) struct Web {
    pub(crate) lab: Arc<str>,
    pub(crate) socket: Arc<Path>,
    pub(crate) address: SocketAddr,
    pub(crate) token: Token,
    pub(crate) hub: Arc<Hub>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) downloads: Arc<Semaphore>,
    pub(crate) flows: Flows,
    pub(crate) running: watch::Receiver<()>,
}

/// A request that is not done, and why.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.1 }));
        if self.0 == StatusCode::METHOD_NOT_ALLOWED {
            return (self.0, [(header::ALLOW, "GET")], body).into_response();
        }
        (self.0, body).into_response()
    }
}

/// What a request says in its query. What cannot be read there is refused as all else is.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let said = extract::Query::from_request_parts(parts, state).await;
        said.map(|extract::Query(said)| Self(said))
            .map_err(|why: QueryRejection| Refusal(why.status(), why.body_text()))
    }
}

/// The page. Its style and its script are known by a number that only this answer has.
pub(crate) async fn page() -> Result<Response, Refusal> {
    let nonce = Token::new()
        .map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let nonce = nonce.as_str();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let head = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    Ok((head, PAGE.replace(NONCE, nonce)).into_response())
}

pub(crate) async fn unknown() -> Refusal {
    Refusal(StatusCode::NOT_FOUND, "there is /, /events and /capture".into())
}

/// How a page listens.
#[derive(Deserialize)]
pub(crate) struct Listen {
    /// Nobody sees it.
    #[serde(default)]
    hidden: bool,
    /// Frames to follow: ports or nodes, then a filter.
    follow: Option<String>,
}

/// A page's one stream: a snapshot, then differences, and the walks of frames it follows.
pub(crate) async fn events(
    State(web): State<Web>,
    Query(ask): Query<Listen>,
) -> Result<Response, Refusal> {
    let place = Arc::clone(&web.streams).try_acquire_owned().map_err(|_| {
        let line = format!("{STREAMS} pages look at this lab already: close one");
        Refusal(StatusCode::SERVICE_UNAVAILABLE, line)
    })?;
    let pace = match (&ask.follow, ask.hidden) {
        (Some(_), _) => Pace::Following,
        (None, true) => Pace::Hidden,
        (None, false) => Pace::Seen,
    };
    let walks = match ask.follow {
        Some(words) => Some(flow::follow(&web.socket, web.flows.clone(), words).await?),
        None => None,
    };
    let told = Told { listener: web.hub.listen(pace), walks, _place: place };
    let pieces = unfold(told, async |mut told| Some((told.next().await, told)));
    let body = Body::from_stream(pieces.take_until(Box::pin(over(web.running))));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

struct Told {
    listener: Listener,
    walks: Option<Flow>,
    _place: OwnedSemaphorePermit,
}

impl Told {
    async fn next(&mut self) -> Result<Bytes, Infallible> {
        let Some(walks) = &mut self.walks else {
            return Ok(Bytes::copy_from_slice(self.listener.next().await.as_bytes()));
        };
        tokio::select! {
            // The picture first: walks may come without a pause.
            biased;
            text = self.listener.next() => Ok(Bytes::copy_from_slice(text.as_bytes())),
            piece = walks.next() => Ok(match piece {
                Some(piece) => piece.into(),
                None => {
                    self.walks = None;
                    Bytes::from_static(b"event: unfollowed\ndata: {}\n\n")
                }
            }),
        }
    }
}

/// Frames wanted as a file.
#[derive(Deserialize)]
pub(crate) struct Record {
    /// Ports or nodes, then a filter.
    #[serde(default)]
    filter: String,
    /// Frames at most.
    #[serde(default = "frames")]
    count: u64,
    /// Seconds at most.
    #[serde(default = "seconds")]
    seconds: u64,
}

fn frames() -> u64 {
    1_000
}

fn seconds() -> u64 {
    10
}

/// A capture file, which ends by its number of frames or by its time.
pub(crate) async fn capture(
    State(web): State<Web>,
    Query(ask): Query<Record>,
) -> Result<Response, Refusal> {
    if !(1..=100_000).contains(&ask.count) || !(1..=600).contains(&ask.seconds) {
        let line = "a capture has 1 to 100000 frames and takes 1 to 600 seconds".into();
        return Err(Refusal(StatusCode::UNPROCESSABLE_ENTITY, line));
    }
    let place = Arc::clone(&web.downloads).try_acquire_owned().map_err(|_| {
        let line = "as many captures run as may: wait for one to end".into();
        Refusal(StatusCode::SERVICE_UNAVAILABLE, line)
    })?;
    let flow = flow::capture(&web.socket, web.flows.clone(), ask.filter, ask.count).await?;
    let time = Box::pin(tokio::time::sleep(Duration::from_secs(ask.seconds)));
    let pieces = unfold((flow, Some(time), place), async |(mut flow, mut time, place)| {
        let piece = loop {
            let Some(end) = &mut time else { break flow.next().await };
            tokio::select! {
                piece = flow.next() => break piece,
                () = end => {
                    flow.end();
                    time = None;
                }
            }
        };
        Some((Ok::<_, Infallible>(Bytes::from(piece?)), (flow, time, place)))
    });
    let body = Body::from_stream(pieces.take_until(Box::pin(over(web.running))));
    let name = format!("attachment; filename=\"{}.pcapng\"", web.lab);
    let head = [
        (header::CONTENT_TYPE, "application/x-pcapng".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((head, body).into_response())
}

/// Resolves once the server is to stop.
async fn over(mut running: watch::Receiver<()>) {
    while running.changed().await.is_ok() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_has_a_place_for_its_number() {
        assert!(PAGE.len() < 30_000, "{} bytes", PAGE.len());
        assert_eq!(PAGE.matches(NONCE).count(), 2);
    }
}
