//! `GET /stats` and `GET /metrics`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::json;

use crate::app::App;
use crate::calls::reply::Reply;
use crate::http::agent::Agent;

/// Returns the counts of the agent's episodes.
pub(super) async fn stats(State(app): State<Arc<App>>, Agent(agent): Agent) -> Reply {
    let statistics = app.database.statistics(&agent).await?;
    Ok(Json(json!({
        "success": true,
        "agent_id": agent,
        "stats": {
            "total_episodes": statistics.episodes,
            "episodes_with_embeddings": statistics.with_embedding,
            "embeddings_queue": statistics.queue,
        },
    })))
}

/// Returns the service's counters, for all agents together.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let text = app.metrics.text(app.database.connections());
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
