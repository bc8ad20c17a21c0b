//! `POST /memory/temporal/before`, `after`, `range`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::Value;

use crate::app::App;
use crate::calls::answer::{Answer, episodes};
use crate::http::agent::Agent;
use crate::http::body;
use crate::input::temporal::{Stretch, Temporal};
use crate::problem::Problem;

/// Before a moment, newest first.
pub(super) async fn before(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    list(&app, &agent, &headers, body, |body| Temporal::from_moment(body, Stretch::Before)).await
}

/// After a moment, oldest first.
pub(super) async fn after(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    list(&app, &agent, &headers, body, |body| Temporal::from_moment(body, Stretch::After)).await
}

/// Between two moments, oldest first.
pub(super) async fn range(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    list(&app, &agent, &headers, body, Temporal::from_range).await
}

async fn list(
    app: &App,
    agent: &str,
    headers: &HeaderMap,
    body: Body,
    read: fn(Value) -> Result<Temporal, Problem>,
) -> Answer {
    let asked = read(body::read(app, headers, body).await?.json()?)?;
    Ok(episodes(&app.database.temporal(agent, &asked).await?))
}
