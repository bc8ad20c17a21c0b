//! `POST /memory/temporal/before`, `after`, `range`.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::Value;

use crate::app::App;
use crate::calls::reply::{Reply, episodes};
use crate::error::ApiError;
use crate::http::agent::Agent;
use crate::http::body;
use crate::input::temporal::{Period, Temporal};
use crate::peer::Peer;

/// Returns the episodes before a time, newest first.
pub(super) async fn before(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Reply {
    list(&app, &agent, peer, &headers, body, |body| Temporal::from_moment(body, Period::Before)).await
}

/// Returns the episodes after a time, oldest first.
pub(super) async fn after(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Reply {
    list(&app, &agent, peer, &headers, body, |body| Temporal::from_moment(body, Period::After)).await
}

/// Returns the episodes between two times, oldest first.
pub(super) async fn range(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Reply {
    list(&app, &agent, peer, &headers, body, Temporal::from_range).await
}

async fn list(
    app: &App,
    agent: &str,
    peer: Peer,
    headers: &HeaderMap,
    body: Body,
    read: fn(Value) -> Result<Temporal, ApiError>,
) -> Reply {
    let query = read(body::read(app, peer, headers, body).await?.json()?)?;
    Ok(episodes(&app.database.temporal(agent, &query).await?))
}
