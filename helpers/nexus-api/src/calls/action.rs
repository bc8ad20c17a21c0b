//! `POST /memory/action`: stores one episode.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::app::App;
use crate::calls::reply::Reply;
use crate::error::ApiError;
use crate::http::agent::Agent;
use crate::http::body::Read;
use crate::input::episode::{Embedding, NewEpisode};
use crate::input::json;
use crate::memory::error::DbError;
use crate::memory::idempotency::{Claim, LONGEST_KEY};
use crate::memory::insert::Stored;
use crate::metrics::Metrics;
use crate::time;

/// The header that makes a retry safe.
const KEY: &str = "idempotency-key";

/// Stores the episode, with its vector if nexus-embed returns it in time.
pub(super) async fn action(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    headers: HeaderMap,
    read: Read,
) -> Reply {
    let mut episodes = [NewEpisode::from_action(json::parse(&read.bytes)?, app.args.content)?];
    let key = key(&headers)?;
    let stored = store(&app, &agent, &mut episodes, key.as_deref(), "/memory/action", &read.bytes).await?;
    let id = stored.ids.first().map(ToString::to_string);
    let message = message(&stored, &episodes);
    Ok(Json(json!({
        "success": true,
        "episode_id": id,
        "timestamp": time::text(stored.at),
        "message": message,
    })))
}

/// Returns the message of the response.
pub(super) fn message(stored: &Stored, episodes: &[NewEpisode]) -> Value {
    let text = if stored.is_replayed {
        "This was stored before, by a request with the same Idempotency-Key."
    } else if episodes.iter().all(|episode| episode.embedding.is_some()) {
        "Stored."
    } else {
        "Stored; it is found by its words now, and by its meaning once it has a vector."
    };
    text.into()
}

/// Returns the request's `Idempotency-Key`, or 422 if it is malformed.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > LONGEST_KEY || values.next().is_some() {
        let message = format!("It must be one key of 1 to {LONGEST_KEY} printable ASCII characters.");
        return Err(ApiError::invalid("Idempotency-Key", message));
    }
    Ok(Some(key.to_owned()))
}

/// Stores `episodes`, all or none.
///
/// # Errors
/// If the database fails; 409 if the key was used for another request.
pub(super) async fn store(
    app: &App,
    agent: &str,
    episodes: &mut [NewEpisode],
    key: Option<&str>,
    route: &str,
    body: &[u8],
) -> Result<Stored, ApiError> {
    let claim = key
        .map(|key| Claim::new(key.to_owned(), route, body, episodes.len()))
        .transpose()
        .map_err(|_| ApiError::internal())?;
    add_vectors(app, episodes).await;
    let stored = app.database.insert(agent, episodes, claim.as_ref()).await;
    // Also if it is unknown whether they were stored.
    if !matches!(&stored, Err(DbError::Busy | DbError::Refused(_))) {
        app.recent.invalidate(agent);
    }
    stored?.map_err(|_| {
        let message = "This Idempotency-Key was used for another request within the last 24 hours.";
        ApiError {
            field: Some("Idempotency-Key".to_owned()),
            ..ApiError::new(StatusCode::CONFLICT, "key_used", message)
        }
    })
}

/// Adds vectors to the episodes without one. Those that do not come in time are left to the
/// backfill.
async fn add_vectors(app: &App, episodes: &mut [NewEpisode]) {
    let without = episodes.iter_mut().filter(|episode| episode.embedding.is_none());
    let mut without: Vec<&mut NewEpisode> = without.collect();
    if without.is_empty() {
        return;
    }
    let vectors: Vec<Embedding> = {
        let texts: Vec<&str> = without.iter().map(|episode| episode.content.as_str()).collect();
        app.vectors.of_texts(&texts, app.args.embed_time).await.unwrap_or_default()
    };
    for (place, episode) in without.iter_mut().enumerate() {
        match vectors.get(place) {
            Some(vector) => episode.embedding = Some(vector.clone()),
            None => Metrics::count(&app.metrics.without_vector),
        }
    }
}
