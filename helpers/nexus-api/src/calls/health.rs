//! `GET /health`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::calls::about::VERSION;
use crate::error::ApiError;
use crate::http::agent::Agent;
use crate::time;
use crate::vectors;

/// Time that each server has to answer.
const LIMIT: Duration = Duration::from_secs(2);

/// Returns the state of the servers. The status is 503 if the database does not answer, because
/// nothing works then.
pub(super) async fn health(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let mut ping = redis::Cmd::new();
    ping.arg("PING");
    let (queue_depth, has_redis) = tokio::join!(
        tokio::time::timeout(LIMIT, app.database.queue_depth(&agent)),
        tokio::time::timeout(LIMIT, app.redis.ask::<String>(&ping)),
    );
    // Logs nothing: each call that needs the database does.
    let queue_depth = queue_depth.ok().and_then(Result::ok);
    let has_redis = matches!(has_redis, Ok(Ok(_)));
    let (status, code) = match (queue_depth, has_redis) {
        (None, _) => ("unhealthy", StatusCode::SERVICE_UNAVAILABLE),
        (Some(_), false) => ("degraded", StatusCode::OK),
        (Some(_), true) => ("healthy", StatusCode::OK),
    };
    let is = |well: bool| if well { "connected" } else { "disconnected" };
    let embedding = match app.vectors.state() {
        vectors::State::Available => "available",
        vectors::State::Failing => "failing",
        vectors::State::Absent => "absent",
    };
    let body = json!({
        "status": status,
        "version": VERSION,
        "agent_id": agent,
        "database": is(queue_depth.is_some()),
        "redis": is(has_redis),
        "queue_depth": queue_depth,
        "timestamp": time::now(),
        "embedding": embedding,
        "embedding_version": app.vectors.version(),
    });
    Ok((code, Json(body)))
}
