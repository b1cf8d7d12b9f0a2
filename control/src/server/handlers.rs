//! What each path does: ask the lab on a thread beside, within the time allowed, answer JSON.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, watch};

use super::calls::{Calls, Lost};
use super::said::{Path, Query};
use super::{Limits, OPENAPI};
use crate::api::{PageQuery, Problem, Protocol, Version};
use crate::{Door, DoorError, Flow};

/// By which a capture or trace can be ended.
pub(crate) const FLOW_ID: header::HeaderName = header::HeaderName::from_static("x-flow");

/// Bytes of a request's body.
const BODY: usize = 16 * 1024;
const TOO_LONG: &str = "the request is longer than 16 KiB: say less, a shorter filter perhaps";

/// What all handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    door: Arc<dyn Door>,
    limits: Limits,
    calls: Arc<Calls>,
    pub(super) streams: Arc<Semaphore>,
    pub(super) running: watch::Receiver<()>,
}

impl Shared {
    pub(super) fn new(
        door: Arc<dyn Door>,
        calls: Arc<Calls>,
        limits: Limits,
        running: watch::Receiver<()>,
    ) -> Self {
        let streams = Arc::new(Semaphore::new(limits.streams));
        Self { door, limits, calls, streams, running }
    }

    /// Runs `call` beside. Calls that hang fill the places, and later ones are refused instead of
    /// queued.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Door) -> Result<T, DoorError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let door = Arc::clone(&self.door);
        let work = self.calls.run(move || call(&*door));
        match tokio::time::timeout(self.limits.call, work).await {
            Ok(Ok(done)) => done.map_err(Refusal::from),
            Ok(Err(Lost)) => {
                let line = "the lab's part died".into();
                Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, line))
            }
            Err(_) => {
                let line = "the lab is busy with other requests: try again".into();
                Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, line))
            }
        }
    }

    pub(super) async fn answer<T: Serialize + Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Door) -> Result<T, DoorError> + Send + 'static,
    ) -> Answer {
        Ok(Json(self.call(call).await?).into_response())
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, body: Body) -> Result<T, Refusal> {
        let invalid = |line: String| Refusal(StatusCode::UNPROCESSABLE_ENTITY, line);
        let bytes = tokio::time::timeout(self.limits.body, axum::body::to_bytes(body, BODY))
            .await
            .map_err(|_| Refusal(StatusCode::REQUEST_TIMEOUT, "the request is too slow".into()))?
            .map_err(|_| Refusal(StatusCode::PAYLOAD_TOO_LARGE, TOO_LONG.into()))?;
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))
    }
}

/// A request that is not done, and why.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

pub(super) type Answer = Result<Response, Refusal>;

impl From<DoorError> for Refusal {
    fn from(error: DoorError) -> Self {
        let status = match &error {
            DoorError::NotFound(_) => StatusCode::NOT_FOUND,
            DoorError::Conflict(_) => StatusCode::CONFLICT,
            DoorError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            DoorError::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
            DoorError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(Problem { error: self.1 })).into_response()
    }
}

pub(super) async fn unknown(uri: axum::http::Uri) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, super::routes::unknown(uri.path()))
}

pub(super) async fn wrong_method(method: axum::http::Method, uri: axum::http::Uri) -> Refusal {
    let line = format!("{method} does not apply to {}: see /v1/openapi.json", uri.path());
    Refusal(StatusCode::METHOD_NOT_ALLOWED, line)
}

pub(super) async fn version(State(shared): State<Shared>) -> Answer {
    let call = |door: &dyn Door| {
        let lab = door.topology();
        let version = env!("CARGO_PKG_VERSION").into();
        Ok(Version { version, api: "v1".into(), lab: lab.lab, pid: lab.pid })
    };
    shared.answer(call).await
}

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

pub(super) async fn topology(State(shared): State<Shared>) -> Answer {
    shared.answer(|door| Ok(door.topology())).await
}

pub(super) async fn spec(State(shared): State<Shared>) -> Answer {
    shared.answer(|door| door.spec()).await
}

pub(super) async fn ports(State(shared): State<Shared>, Query(page): Query<PageQuery>) -> Answer {
    shared.answer(move |door| door.ports(&page)).await
}

pub(super) async fn fdb(State(shared): State<Shared>, Query(page): Query<PageQuery>) -> Answer {
    shared.answer(move |door| door.fdb(&page)).await
}

pub(super) async fn fast_flows(
    State(shared): State<Shared>,
    Query(page): Query<PageQuery>,
) -> Answer {
    shared.answer(move |door| door.fast_flows(&page)).await
}

pub(super) async fn flush_fdb(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    shared.answer(move |door| door.flush_fdb(&ask)).await
}

pub(super) async fn set_fdb(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    shared.call(move |door| door.set_fdb(&ask)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn del_fdb(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    shared.answer(move |door| door.del_fdb(&ask)).await
}

pub(super) async fn set_port(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    body: Body,
) -> Answer {
    let ask = shared.read(body).await?;
    shared.answer(move |door| door.set_port(&name, &ask)).await
}

pub(super) async fn move_port(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    body: Body,
) -> Answer {
    let ask = shared.read(body).await?;
    shared.answer(move |door| door.move_port(&name, &ask)).await
}

pub(super) async fn add_vlan(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    body: Body,
) -> Answer {
    let ask = shared.read(body).await?;
    shared.call(move |door| door.add_vlan(&name, &ask)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn del_vlan(
    State(shared): State<Shared>,
    Path((name, first, last)): Path<(String, u16, u16)>,
) -> Answer {
    shared.call(move |door| door.del_vlan(&name, first, last)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn networks(State(shared): State<Shared>) -> Answer {
    shared.answer(|door| door.networks()).await
}

pub(super) async fn add_network(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    let network = shared.call(move |door| door.add_network(&ask)).await?;
    Ok((StatusCode::CREATED, Json(network)).into_response())
}

pub(super) async fn remove_network(
    State(shared): State<Shared>,
    Path(name): Path<String>,
) -> Answer {
    shared.call(move |door| door.remove_network(&name)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn set_network(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    body: Body,
) -> Answer {
    let ask = shared.read(body).await?;
    shared.answer(move |door| door.set_network(&name, &ask)).await
}

pub(super) async fn neighbours(
    State(shared): State<Shared>,
    Query(page): Query<PageQuery>,
) -> Answer {
    shared.answer(move |door| door.neighbours(&page)).await
}

pub(super) async fn routes(State(shared): State<Shared>) -> Answer {
    shared.answer(|door| door.routes()).await
}

pub(super) async fn sessions(
    State(shared): State<Shared>,
    Query(page): Query<PageQuery>,
) -> Answer {
    shared.answer(move |door| door.sessions(&page)).await
}

pub(super) async fn tunnels(State(shared): State<Shared>) -> Answer {
    shared.answer(|door| door.tunnels()).await
}

pub(super) async fn add_tunnel(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    let tunnel = shared.call(move |door| door.add_tunnel(&ask)).await?;
    Ok((StatusCode::CREATED, Json(tunnel)).into_response())
}

pub(super) async fn remove_tunnel(State(shared): State<Shared>, Path(vni): Path<u32>) -> Answer {
    shared.call(move |door| door.remove_tunnel(vni)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn set_gateway(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    shared.answer(move |door| door.set_gateway(&ask)).await
}

pub(super) async fn set_link(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    body: Body,
) -> Answer {
    let ask = shared.read(body).await?;
    shared.call(move |door| door.set_link(&name, &ask)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn flush_nat(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    shared.answer(move |door| door.flush_nat(&ask)).await
}

pub(super) async fn names(State(shared): State<Shared>, Query(page): Query<PageQuery>) -> Answer {
    shared.answer(move |door| door.names(&page)).await
}

pub(super) async fn counters(State(shared): State<Shared>) -> Answer {
    shared.answer(|door| Ok(door.counters())).await
}

pub(super) async fn published(State(shared): State<Shared>) -> Answer {
    shared.answer(|door| door.published()).await
}

pub(super) async fn publish(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    shared.answer(move |door| door.publish(&ask)).await
}

pub(super) async fn unpublish(
    State(shared): State<Shared>,
    Path((protocol, port)): Path<(Protocol, u16)>,
) -> Answer {
    shared.call(move |door| door.unpublish(protocol, port)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn add_node(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    let node = shared.call(move |door| door.add_node(&ask)).await?;
    Ok((StatusCode::CREATED, Json(node)).into_response())
}

pub(super) async fn remove_node(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    shared.call(move |door| door.remove_node(&name)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn explain(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    shared.answer(move |door| door.explain(&ask)).await
}

pub(super) async fn capture(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    flow(shared, "application/x-pcapng", move |door| door.capture(&ask)).await
}

pub(super) async fn trace(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    flow(shared, "application/x-ndjson", move |door| door.trace(&ask)).await
}

pub(super) async fn end_flow(State(shared): State<Shared>, Path(id): Path<u64>) -> Answer {
    shared.call(move |door| door.end_flow(id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// An answer that goes on for as long as both sides want.
async fn flow(
    shared: Shared,
    kind: &'static str,
    open: impl FnOnce(&dyn Door) -> Result<Flow, DoorError> + Send + 'static,
) -> Answer {
    let place = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| {
        let line = "too many clients look at frames or events: close some and try again".into();
        Refusal(StatusCode::SERVICE_UNAVAILABLE, line)
    })?;
    let Flow { id, chunks } = shared.call(open).await?;
    let bytes = futures_util::stream::unfold((chunks, place), async |(mut chunks, place)| {
        let chunk = chunks.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(chunk)), (chunks, place)))
    });
    let head = [(header::CONTENT_TYPE, kind.to_owned()), (FLOW_ID, id.to_string())];
    Ok((head, Body::from_stream(bytes)).into_response())
}

pub(super) async fn metrics(State(shared): State<Shared>) -> Answer {
    let text = shared.call(|door| Ok(crate::openmetrics(door))).await?;
    Ok(([(header::CONTENT_TYPE, crate::metrics::CONTENT_TYPE)], text).into_response())
}
