//! `GET /memory/export`.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Version};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::error::ApiError;
use crate::http::agent::Agent;
use crate::peer::Peer;

/// Returns the agent's episodes, one JSON object a line, oldest first. Refuses HTTP/1.0, because
/// its client cannot see whether a response of unknown length is complete.
pub(super) async fn export(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    Extension(peer): Extension<Peer>,
    version: Version,
) -> Result<Response, ApiError> {
    if version < Version::HTTP_11 {
        return Err(ApiError::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "http_version",
            "Over HTTP/1.0 a client cannot see that an export is cut off: use HTTP/1.1 (nginx: proxy_http_version 1.1).",
        ));
    }
    let share = app.long_call(peer)?;
    let export = app.database.export(&agent, share).await?;
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(export.lines())).into_response())
}
