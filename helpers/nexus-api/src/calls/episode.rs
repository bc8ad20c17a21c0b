//! `GET` and `DELETE /memory/episode/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use nexus_ledger::forgetting::ask;
use nexus_ledger::forgetting::protocol::{ForgetReply, Request};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::app::App;
use crate::calls::reply::Reply;
use crate::error::ApiError;
use crate::http::agent::Agent;
use crate::memory::episodes::Whole;
use crate::time;

/// Returns one episode with its metadata and the version of its vector.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Found>, ApiError> {
    let episode = app.database.by_id(&agent, parse(id)?).await?.ok_or_else(ApiError::no_episode)?;
    Ok(Json(Found { success: true, episode, timestamp: time::now() }))
}

/// The response to `GET`.
#[derive(Serialize)]
pub(super) struct Found {
    success: bool,
    episode: Whole,
    timestamp: String,
}

/// Forgets one episode. nexus-purge does it, because its ledger keeps a restore from bringing the
/// episode back.
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    id: Result<Path<String>, PathRejection>,
) -> Reply {
    let id = parse(id)?.to_string();
    let request = Request { agent: agent.clone(), episode: id.clone() };
    let reply = ask::forget(&app.args.purge_socket, &request).await;
    // Also if it is unknown whether it was forgotten.
    app.recent.invalidate(&agent);
    match reply {
        Ok(ForgetReply::Forgotten) => {
            app.working.forget(&app.redis, &agent, &id).await;
            Ok(Json(json!({
                "success": true,
                "episode_id": id,
                "timestamp": time::now(),
                "message": "Forgotten. Backups that were made before hold it until they are removed.",
            })))
        }
        Ok(ForgetReply::Absent) => Err(ApiError::no_episode()),
        Ok(ForgetReply::TooMany(_)) => Err(ApiError {
            retry_after: Some(600),
            ..ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_forgotten",
                "The hourly limit of forgotten episodes is reached (NEXUS_PURGE_HOURLY). The episode was not forgotten.",
            )
        }),
        Ok(ForgetReply::Busy(_)) => Err(ApiError::unavailable(
            "busy",
            "It cannot be forgotten now: nexus-purge is already running, or a server is down. Try again.",
        )),
        Ok(ForgetReply::Failed(why)) => {
            log::error!("nexus-purge could not forget an episode: {why}");
            Err(ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "not_forgotten",
                "It could not be forgotten; the journal says why: journalctl -u 'nexus-purge@*'",
            ))
        }
        Err(failure) => {
            log::warn!("{failure}");
            Err(ApiError::unavailable(
                "purge_unavailable",
                "nexus-purge does not answer; whether it was forgotten is not known. Asking again does no harm.",
            ))
        }
    }
}

fn parse(id: Result<Path<String>, PathRejection>) -> Result<Uuid, ApiError> {
    // Only the form with hyphens, which every reply has.
    let id = id.ok().filter(|Path(id)| id.len() == 36).and_then(|Path(id)| Uuid::try_parse(&id).ok());
    id.ok_or_else(|| {
        ApiError::invalid("id", "It must be a UUID, such as 0d9c2f7a-5b1e-4f6a-9c3d-7e8f9a0b1c2d.")
    })
}
