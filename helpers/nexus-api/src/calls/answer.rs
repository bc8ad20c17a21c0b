//! What several answers have in common.

use axum::Json;
use serde_json::{Value, json};

use crate::memory::episodes::Episode;
use crate::problem::Problem;
use crate::time;

/// What a call gives.
pub(super) type Answer = Result<Json<Value>, Problem>;

/// A list of episodes, with the time.
pub(super) fn episodes(episodes: &[Episode]) -> Json<Value> {
    let list: Vec<Value> = episodes.iter().map(Episode::json).collect();
    Json(json!({"success": true, "count": list.len(), "episodes": list, "timestamp": time::now()}))
}

/// Redis alone has the working memory.
pub(super) fn redis_is_down() -> Problem {
    Problem::unavailable(
        "redis_unavailable",
        "Redis, which holds the working memory, does not answer; try again.",
    )
}
