//! `POST /memory/working/add`, `GET …/items`, `POST …/clear`, `GET …/stats`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Query, Request, State};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::App;
use crate::calls::reply::{Reply, redis_is_down};
use crate::http::agent::Agent;
use crate::http::body::Read;
use crate::input::fields::tags;
use crate::input::query::Parameters;

/// Adds an item. If the working memory is full, its oldest item leaves.
pub(super) async fn add(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    Query(parameters): Query<HashMap<String, String>>,
    request: Request,
) -> Reply {
    let parameters = Parameters::new(parameters);
    let id = parameters.episode_id()?;
    let weight = parameters.attention_weight()?;
    let read = Read::from_request(request, &app).await?;
    // No body, or null: no tags.
    let tags = match if read.bytes.is_empty() { Value::Null } else { read.into_json()? } {
        Value::Null => Vec::new(),
        list => tags(list).map_err(|error| error.within("body"))?,
    };
    let added = app.working.add(&app.redis, &agent, id, weight, &tags).await.map_err(|_| redis_is_down())?;
    let message =
        if added.is_new { "Added." } else { "It was there already; its time to live starts again." };
    Ok(Json(json!({
        "success": true,
        "added": added.is_new,
        "episode_id": id,
        "buffer_size": added.count,
        "capacity": app.working.limits.capacity,
        "message": message,
    })))
}

/// Returns all items, newest first.
pub(super) async fn items(State(app): State<Arc<App>>, Agent(agent): Agent) -> Reply {
    let items = app.working.items(&app.redis, &agent).await.map_err(|_| redis_is_down())?;
    let now = Timestamp::now();
    let list: Vec<Value> = items.iter().map(|item| item.json(now)).collect();
    Ok(Json(json!({
        "success": true,
        "items": list,
        "count": list.len(),
        "capacity": app.working.limits.capacity,
    })))
}

/// Removes all items.
pub(super) async fn clear(State(app): State<Arc<App>>, Agent(agent): Agent) -> Reply {
    let count = app.working.clear(&app.redis, &agent).await.map_err(|_| redis_is_down())?;
    Ok(Json(json!({"success": true, "cleared_count": count, "message": format!("{count} removed.")})))
}

/// Returns counts and ages.
pub(super) async fn stats(State(app): State<Arc<App>>, Agent(agent): Agent) -> Reply {
    let items = app.working.items(&app.redis, &agent).await.map_err(|_| redis_is_down())?;
    let now = Timestamp::now();
    let accesses: u64 = items.iter().map(|item| item.accesses).sum();
    Ok(Json(json!({
        "success": true,
        "count": items.len(),
        "capacity": app.working.limits.capacity,
        "total_accesses": accesses,
        "oldest_age_seconds": items.iter().map(|item| item.age(now)).fold(0.0, f64::max),
        "ttl_seconds": app.working.limits.lifetime.as_secs(),
    })))
}
