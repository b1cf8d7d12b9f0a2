//! What a request says in its path and its query. What cannot be read there is refused as all else is: by a
//! line in JSON.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{self, FromRequestParts};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::handlers::Refusal;

/// Of the query.
pub(super) struct Query<T>(pub(super) T);

/// Of the path.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let said = extract::Query::from_request_parts(parts, state).await;
        said.map(|extract::Query(said)| Self(said))
            .map_err(|why: QueryRejection| Refusal(why.status(), why.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let said = extract::Path::from_request_parts(parts, state).await;
        said.map(|extract::Path(said)| Self(said))
            .map_err(|why: PathRejection| Refusal(why.status(), why.body_text()))
    }
}
