//! Bodies of requests: read within a time, up to a size, and all of them together within a room.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::app::App;
use crate::input::json;
use crate::problem::Problem;

/// What is too long is still read, up to so much, so that its sender hears the answer and not a broken connection.
const DRAINED: usize = 64 << 20;

/// A body, and the room it takes.
pub(crate) struct Read {
    /// What was sent.
    pub(crate) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Read {
    /// As JSON.
    ///
    /// # Errors
    /// 400, 422.
    pub(crate) fn json(&self) -> Result<Value, Problem> {
        json::parse(&self.bytes)
    }
}

/// Reads `body` whole.
///
/// # Errors
/// 413 when it is too long, 408 when it comes too slowly, 400 when it breaks off, 503 when others' take all the room.
pub(crate) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Read, Problem> {
    let end = Instant::now() + app.args.timeout;
    let most = app.args.body;
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        drain(body, end).await;
        return Err(too_long(most));
    }
    let mut room = Room { app, permit: None, bytes: 0 };
    let mut bytes = BytesMut::new();
    let mut body = body;
    loop {
        let Some(frame) = next(&mut body, end).await? else { break };
        if bytes.len() + frame.len() > most {
            drain(body, end).await;
            return Err(too_long(most));
        }
        if let Err(problem) = room.grow(frame.len()) {
            drain(body, end).await;
            return Err(problem);
        }
        bytes.extend_from_slice(&frame);
    }
    Ok(Read { bytes: bytes.freeze(), _room: room.permit })
}

/// The next piece of `body`, which must come before `end`.
///
/// # Errors
/// 408, 400.
pub(crate) async fn next(body: &mut Body, end: Instant) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = tokio::time::timeout_at(end, body.frame())
            .await
            .map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The body came too slowly."))?;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => {
                return Err(Problem::new(StatusCode::BAD_REQUEST, "broken_body", "The body broke off."));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The room that one body takes of all bodies' room.
struct Room<'a> {
    app: &'a App,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Room<'_> {
    /// Takes room for `more` bytes.
    fn grow(&mut self, more: usize) -> Result<(), Problem> {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        self.bytes += more;
        let wanted = (self.bytes >> 10).saturating_sub(held);
        if wanted == 0 {
            return Ok(());
        }
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let permit = std::sync::Arc::clone(&self.app.bodies).try_acquire_many_owned(wanted);
        let permit = permit.map_err(|_| {
            Problem::unavailable("busy", "Too many large requests are being read; try again.")
        })?;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        Ok(())
    }
}

/// Reads on and keeps nothing.
async fn drain(mut body: Body, end: Instant) {
    let mut drained = 0;
    let end = end.min(Instant::now() + Duration::from_secs(10));
    while let Ok(Some(frame)) = next(&mut body, end).await {
        drained += frame.len();
        if drained > DRAINED {
            return;
        }
    }
}

fn too_long(most: usize) -> Problem {
    let message = format!("The body may have {most} bytes at most (NEXUS_API_BODY).");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", message)
}
