//! Reads bodies of requests, with limits on time, on the size of each, and on the memory of all.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use nexus_sharing::shares::Share;
use serde_json::Value;
use tokio::time::Instant;

use crate::app::App;
use crate::error::ApiError;
use crate::input::json;
use crate::peer::{Peer, Sharer};

/// The most bytes of a refused body that are read, so that the client gets the response and not a
/// broken connection.
const DRAINED: usize = 64 << 20;

/// A body, and the memory reserved for it.
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    _reserved: Share<Sharer>,
}

impl Read {
    /// Parses the body as JSON, and gives its memory back.
    pub(crate) fn into_json(self) -> Result<Value, ApiError> {
        json::parse(&self.bytes)
    }
}

impl FromRequest<Arc<App>> for Read {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let peer = request.extensions().get::<Peer>().copied().ok_or_else(ApiError::internal)?;
        let (parts, body) = request.into_parts();
        read(app, peer, &parts.headers, body).await
    }
}

/// Reads the whole of `body`.
///
/// # Errors
/// 413 if it is too long, 408 if it comes too slowly, 400 if it breaks off, 503 if this and
/// other bodies of `peer` take more than its share of the memory.
async fn read(app: &App, peer: Peer, headers: &HeaderMap, body: Body) -> Result<Read, ApiError> {
    let end = Instant::now() + app.args.timeout;
    let most = app.args.body;
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        drain(body, end).await;
        return Err(too_long(most));
    }
    let busy = || ApiError::unavailable("busy", "Too many large requests are being read; try again.");
    let mut reserved = app.bodies.take(peer.sharing(), 0).ok_or_else(busy)?;
    let mut bytes = BytesMut::new();
    let mut body = body;
    loop {
        let Some(frame) = next(&mut body, end).await? else { break };
        if bytes.len() + frame.len() > most {
            drain(body, end).await;
            return Err(too_long(most));
        }
        let wanted = (bytes.len() + frame.len()) >> 10;
        if !reserved.grow(wanted - reserved.units()) {
            drain(body, end).await;
            return Err(busy());
        }
        bytes.extend_from_slice(&frame);
    }
    Ok(Read { bytes: bytes.freeze(), _reserved: reserved })
}

/// Returns the next piece of `body`, which must come before `end`.
///
/// # Errors
/// 408 if it does not, 400 if the body breaks off.
pub(crate) async fn next(body: &mut Body, end: Instant) -> Result<Option<Bytes>, ApiError> {
    loop {
        let frame = tokio::time::timeout_at(end, body.frame()).await.map_err(|_| {
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The body came too slowly.")
        })?;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => {
                return Err(ApiError::new(StatusCode::BAD_REQUEST, "broken_body", "The body is incomplete."));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// Reads the rest of `body` and drops it.
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

fn too_long(most: usize) -> ApiError {
    let message = format!("The body may have {most} bytes at most (NEXUS_API_BODY).");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", message)
}
