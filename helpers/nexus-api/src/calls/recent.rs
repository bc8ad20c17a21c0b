//! `GET /memory/episodic/recent`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Value, json};

use crate::app::App;
use crate::calls::reply::Reply;
use crate::http::agent::Agent;
use crate::input::query::Parameters;
use crate::memory::episodes::Episode;
use crate::metrics::Metrics;

/// Returns the newest episodes, from Redis if it has them.
pub(super) async fn recent(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    Query(parameters): Query<HashMap<String, String>>,
) -> Reply {
    let limit = Parameters::new(parameters).limit()?;
    let key = app.recent.key(&agent, limit);
    if let Some(list) = app.recent.get(&app.redis, &key, &agent).await {
        Metrics::count(&app.metrics.cache_hits);
        return Ok(reply(&list, true));
    }
    Metrics::count(&app.metrics.cache_misses);
    let episodes = app.database.recent(&agent, limit).await?;
    app.recent.store(&app.redis, &key, &agent, &episodes).await;
    let list: Vec<Value> = episodes.iter().map(Episode::json).collect();
    Ok(reply(&list, false))
}

fn reply(list: &[Value], is_cached: bool) -> Json<Value> {
    Json(json!({"success": true, "count": list.len(), "episodes": list, "cached": is_cached}))
}
