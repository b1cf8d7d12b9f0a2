//! What the paths about groups, known neighbours, other hosts and nodes' homes do.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::handlers::{Answer, Shared};
use super::said::Path;

pub(super) async fn mdb(State(shared): State<Shared>) -> Answer {
    shared.answer(|door| door.mdb()).await
}

pub(super) async fn set_mdb(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    shared.call(move |door| door.set_mdb(&ask)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn del_mdb(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    shared.call(move |door| door.del_mdb(&ask)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn hosts(State(shared): State<Shared>) -> Answer {
    shared.answer(|door| door.hosts()).await
}

pub(super) async fn home(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    shared.answer(move |door| door.home(&name)).await
}

pub(super) async fn known(State(shared): State<Shared>) -> Answer {
    shared.answer(|door| door.known()).await
}

pub(super) async fn set_known(State(shared): State<Shared>, body: Body) -> Answer {
    let ask = shared.read(body).await?;
    shared.call(move |door| door.set_known(&ask)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
