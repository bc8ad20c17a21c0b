//! `GET /health`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::calls::about::VERSION;
use crate::http::agent::Agent;
use crate::problem::Problem;
use crate::time;
use crate::vectors;

/// Whoever asks this wants to know now.
const PATIENCE: Duration = Duration::from_secs(2);

/// How it is: 503 when the database does not answer, as nothing works then.
pub(super) async fn health(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let mut ping = redis::Cmd::new();
    ping.arg("PING");
    let (queue_depth, has_redis) = tokio::join!(
        tokio::time::timeout(PATIENCE, app.database.queue_depth(&agent)),
        tokio::time::timeout(PATIENCE, app.redis.ask::<String>(&ping)),
    );
    // The journal hears of it from whoever asks the database for something.
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
