//! Replies that several calls give.

use axum::Json;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::memory::episodes::Episode;
use crate::time;

/// The result of a call.
pub(super) type Reply = Result<Json<Value>, ApiError>;

/// Returns a list of episodes.
pub(super) fn episodes(episodes: &[Episode]) -> Json<Value> {
    let list: Vec<Value> = episodes.iter().map(Episode::json).collect();
    Json(json!({"success": true, "count": list.len(), "episodes": list, "timestamp": time::now()}))
}

/// 503: the working memory is in Redis alone, which does not answer.
pub(super) fn redis_is_down() -> ApiError {
    ApiError::unavailable(
        "redis_unavailable",
        "Redis, which holds the working memory, does not answer; try again.",
    )
}
