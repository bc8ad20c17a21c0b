//! `POST /memory/temporal/before`, `after`, `range`.

use std::sync::Arc;

use axum::extract::State;

use crate::app::App;
use crate::calls::reply::{Reply, episodes};
use crate::http::agent::Agent;
use crate::http::body::Read;
use crate::input::temporal::{Period, Temporal};

/// Returns the episodes before a time, newest first.
pub(super) async fn before(State(app): State<Arc<App>>, Agent(agent): Agent, body: Read) -> Reply {
    list(&app, &agent, &Temporal::from_moment(body.into_json()?, Period::Before)?).await
}

/// Returns the episodes after a time, oldest first.
pub(super) async fn after(State(app): State<Arc<App>>, Agent(agent): Agent, body: Read) -> Reply {
    list(&app, &agent, &Temporal::from_moment(body.into_json()?, Period::After)?).await
}

/// Returns the episodes between two times, oldest first.
pub(super) async fn range(State(app): State<Arc<App>>, Agent(agent): Agent, body: Read) -> Reply {
    list(&app, &agent, &Temporal::from_range(body.into_json()?)?).await
}

async fn list(app: &App, agent: &str, query: &Temporal) -> Reply {
    Ok(episodes(&app.database.temporal(agent, query).await?))
}
