//! `GET /memory/export`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::http::agent::Agent;
use crate::problem::Problem;

/// All that the agent has, one JSON object a line, oldest first.
pub(super) async fn export(State(app): State<Arc<App>>, Agent(agent): Agent) -> Result<Response, Problem> {
    let permit = Arc::clone(&app.long_calls).try_acquire_owned();
    let permit = permit
        .map_err(|_| Problem::unavailable("busy", "Other exports or imports are at work; try again."))?;
    let export = app.database.export(&agent, permit).await?;
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(export.lines())).into_response())
}
