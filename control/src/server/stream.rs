//! What the path of events does: lines for as long as the lab runs. What was told before its end goes out
//! before the stream ends.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use tokio::sync::OwnedSemaphorePermit;

use super::accept::over;
use super::handlers::{Answer, Refusal, Shared};
use crate::Listener;

/// How often a quiet event stream says that it lives: an empty line.
const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) async fn events(State(shared): State<Shared>) -> Answer {
    let place = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| {
        let line = "too many clients listen to events: close some and try again".into();
        Refusal(StatusCode::SERVICE_UNAVAILABLE, line)
    })?;
    let listener = shared.call(|door| door.listen()).await?;
    let stream = Stream { listener, end: Box::pin(over(shared.running)), _place: place };
    let lines = futures_util::stream::unfold(stream, next_line);
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

struct Stream {
    listener: Listener,
    /// Resolves once the server is to stop.
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: OwnedSemaphorePermit,
}

async fn next_line(mut stream: Stream) -> Option<(Result<Bytes, serde_json::Error>, Stream)> {
    let next = async {
        tokio::select! {
            // The end is looked for only where nothing is left to be told.
            biased;
            event = stream.listener.next() => event,
            () = &mut stream.end => None,
        }
    };
    let line = match tokio::time::timeout(HEARTBEAT, next).await {
        Err(_) => Ok(Bytes::from_static(b"\n")),
        Ok(None) => return None,
        Ok(Some(event)) => serde_json::to_vec(&*event).map(|mut line| {
            line.push(b'\n');
            Bytes::from(line)
        }),
    };
    Some((line, stream))
}
