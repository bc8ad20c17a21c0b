//! `POST /memory/import`: stores the lines of an export.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use bytes::BytesMut;
use serde_json::json;
use tokio::time::Instant;

use crate::app::App;
use crate::calls::reply::Reply;
use crate::error::ApiError;
use crate::http::agent::Agent;
use crate::http::body;
use crate::input::episode::ExportedEpisode;
use crate::peer::Peer;
use crate::time;

/// Episodes of one transaction.
const AT_ONCE: usize = 50;

/// Bytes of lines after which a transaction is full.
const BYTES_AT_ONCE: usize = 1 << 20;

/// Bytes that the client must send within the time of one request, so that it does not hold an
/// import with a byte now and then.
const PACE: usize = 16 << 10;

/// The import so far.
#[derive(Default)]
struct Progress {
    lines: usize,
    imported: usize,
    existing: usize,
}

/// Stores each line of the body. After an error, the lines before it stay stored; a second import
/// skips them.
pub(super) async fn import(
    State(app): State<Arc<App>>,
    Agent(agent): Agent,
    Extension(peer): Extension<Peer>,
    mut body: Body,
) -> Reply {
    let _share = app.long_call(peer)?;
    let mut rest = BytesMut::new();
    let (mut episodes, mut bytes) = (Vec::new(), 0);
    let mut progress = Progress::default();
    let (mut left, mut received) = (app.args.timeout, 0);
    loop {
        let begun = Instant::now();
        let piece = body::next(&mut body, begun + left).await?;
        // The client's time alone, without the database's.
        left = left.saturating_sub(begun.elapsed());
        let is_end = piece.is_none();
        // What came before has no newline.
        let mut searched = rest.len();
        if let Some(piece) = piece {
            received += piece.len();
            if received >= PACE {
                (left, received) = (app.args.timeout, 0);
            }
            rest.extend_from_slice(&piece);
        } else if !rest.is_empty() {
            // The last line may lack its newline.
            rest.extend_from_slice(b"\n");
        }
        while let Some(end) = rest[searched..].iter().position(|byte| *byte == b'\n') {
            let line = rest.split_to(searched + end + 1);
            searched = 0;
            progress.lines += 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let parsed = ExportedEpisode::parse(&line, app.args.content);
            let episode = match parsed {
                Ok(episode) => episode,
                Err(error) => {
                    store(&app, &agent, &mut episodes, &mut progress).await?;
                    return Err(error.within(&format!("line {}", progress.lines)));
                }
            };
            bytes += line.len();
            episodes.push(episode);
            if episodes.len() >= AT_ONCE || bytes >= BYTES_AT_ONCE {
                store(&app, &agent, &mut episodes, &mut progress).await?;
                bytes = 0;
            }
        }
        if rest.len() > app.args.body {
            store(&app, &agent, &mut episodes, &mut progress).await?;
            let message = format!("A line may have {} bytes at most (NEXUS_API_BODY).", app.args.body);
            let error = ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", message);
            return Err(error.within(&format!("line {}", progress.lines + 1)));
        }
        if is_end {
            break;
        }
    }
    store(&app, &agent, &mut episodes, &mut progress).await?;
    Ok(Json(json!({
        "success": true,
        "imported": progress.imported,
        "existing": progress.existing,
        "timestamp": time::now(),
    })))
}

async fn store(
    app: &App,
    agent: &str,
    episodes: &mut Vec<ExportedEpisode>,
    progress: &mut Progress,
) -> Result<(), ApiError> {
    if episodes.is_empty() {
        return Ok(());
    }
    // Episodes without a vector are queued: an import of years must not wait for the model.
    let imported = app.database.import(agent, episodes).await;
    app.recent.invalidate(agent);
    let imported = imported?;
    progress.imported += imported;
    progress.existing += episodes.len() - imported;
    episodes.clear();
    Ok(())
}
