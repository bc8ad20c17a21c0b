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
use crate::calls::answer::Answer;
use crate::http::agent::Agent;
use crate::memory::episodes::Whole;
use crate::problem::Problem;
use crate::time;

/// One episode, with all that is kept of it.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Found>, Problem> {
    let episode = app.database.by_id(&agent, parse(id)?).await?.ok_or_else(Problem::no_episode)?;
    Ok(Json(Found { success: true, episode, timestamp: time::now() }))
}

/// The answer.
#[derive(Serialize)]
pub(super) struct Found {
    success: bool,
    episode: Whole,
    timestamp: String,
}

/// Has it forgotten. nexus-purge does that: it has the ledger, by which the episode does not come back with a restore.
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    id: Result<Path<String>, PathRejection>,
) -> Answer {
    let id = parse(id)?.to_string();
    let request = Request { agent: agent.clone(), episode: id.clone() };
    let answer = ask::forget(&app.args.purge_socket, &request).await;
    // Also when nobody knows whether it was done.
    app.recent.invalidate(&agent);
    match answer {
        Ok(ForgetReply::Forgotten) => {
            app.working.forget(&app.redis, &agent, &id).await;
            Ok(Json(json!({
                "success": true,
                "episode_id": id,
                "timestamp": time::now(),
                "message": "Forgotten. Backups that were made before hold it until they are removed.",
            })))
        }
        Ok(ForgetReply::Absent) => Err(Problem::no_episode()),
        Ok(ForgetReply::TooMany(_)) => Err(Problem {
            retry_after: Some(600),
            ..Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_forgotten",
                "The hourly limit of forgotten episodes is reached (NEXUS_PURGE_HOURLY). The episode was not forgotten.",
            )
        }),
        Ok(ForgetReply::Busy(_)) => Err(Problem::unavailable(
            "busy",
            "It cannot be forgotten now: somebody else is purging, or a server is down. Try again.",
        )),
        Ok(ForgetReply::Failed(why)) => {
            log::error!("nexus-purge could not forget an episode: {why}");
            Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "not_forgotten",
                "It could not be forgotten; the journal says why: journalctl -u 'nexus-purge@*'",
            ))
        }
        Err(failure) => {
            log::warn!("{failure}");
            Err(Problem::unavailable(
                "purge_unavailable",
                "nexus-purge does not answer; whether it was forgotten is not known. Asking again does no harm.",
            ))
        }
    }
}

fn parse(id: Result<Path<String>, PathRejection>) -> Result<Uuid, Problem> {
    // With its hyphens alone, as everything here writes it.
    let id = id.ok().filter(|Path(id)| id.len() == 36).and_then(|Path(id)| Uuid::try_parse(&id).ok());
    id.ok_or_else(|| {
        Problem::invalid("id", "It must be a UUID, such as 0d9c2f7a-5b1e-4f6a-9c3d-7e8f9a0b1c2d.")
    })
}
