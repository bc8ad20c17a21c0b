//! `POST /memory/import`: takes in what an export has given out.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::BytesMut;
use serde_json::json;
use tokio::time::Instant;

use crate::app::App;
use crate::calls::answer::Answer;
use crate::http::agent::Agent;
use crate::http::body;
use crate::input::episode::ExportedEpisode;
use crate::problem::Problem;
use crate::time;

/// Episodes of one transaction.
const AT_ONCE: usize = 50;

/// … which may have so many bytes of text together, or one more than that.
const BYTES_AT_ONCE: usize = 1 << 20;

/// What came of it so far.
#[derive(Default)]
struct Taken {
    lines: usize,
    imported: usize,
    existing: usize,
}

/// Stores each line of the body. What comes before a wrong line stays; running it again skips what is there.
pub(super) async fn import(State(app): State<Arc<App>>, Agent(agent): Agent, mut body: Body) -> Answer {
    let _permit = Arc::clone(&app.long_calls)
        .try_acquire_owned()
        .map_err(|_| Problem::unavailable("busy", "Other exports or imports are at work; try again."))?;
    let mut rest = BytesMut::new();
    let (mut episodes, mut bytes) = (Vec::new(), 0);
    let mut taken = Taken::default();
    loop {
        let piece = body::next(&mut body, Instant::now() + app.args.timeout).await?;
        let is_end = piece.is_none();
        if let Some(piece) = piece {
            rest.extend_from_slice(&piece);
        } else if !rest.is_empty() {
            // The last line may lack its end.
            rest.extend_from_slice(b"\n");
        }
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = rest.split_to(end + 1);
            taken.lines += 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let parsed = ExportedEpisode::parse(&line, app.args.content);
            let episode = match parsed {
                Ok(episode) => episode,
                Err(problem) => {
                    store(&app, &agent, &mut episodes, &mut taken).await?;
                    return Err(problem.within(&format!("line {}", taken.lines)));
                }
            };
            bytes += episode.episode.content.len();
            episodes.push(episode);
            if episodes.len() >= AT_ONCE || bytes >= BYTES_AT_ONCE {
                store(&app, &agent, &mut episodes, &mut taken).await?;
                bytes = 0;
            }
        }
        if rest.len() > app.args.body {
            store(&app, &agent, &mut episodes, &mut taken).await?;
            let message = format!("A line may have {} bytes at most (NEXUS_API_BODY).", app.args.body);
            let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", message);
            return Err(problem.within(&format!("line {}", taken.lines + 1)));
        }
        if is_end {
            break;
        }
    }
    store(&app, &agent, &mut episodes, &mut taken).await?;
    Ok(Json(json!({
        "success": true,
        "imported": taken.imported,
        "existing": taken.existing,
        "timestamp": time::now(),
    })))
}

async fn store(
    app: &App,
    agent: &str,
    episodes: &mut Vec<ExportedEpisode>,
    taken: &mut Taken,
) -> Result<(), Problem> {
    if episodes.is_empty() {
        return Ok(());
    }
    // Without vectors they are queued; an import of years must not wait for the model.
    let imported = app.database.import(agent, episodes).await;
    app.recent.invalidate(agent);
    let imported = imported?;
    taken.imported += imported;
    taken.existing += episodes.len() - imported;
    episodes.clear();
    Ok(())
}
