//! One connection: requests, each answered before the next is read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_embed_client::protocol::{Code, EmbedReply, LONGEST_REQUEST, Refusal, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::Shared;

/// How long a request may take to arrive once it has begun, and its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// Counts a request for as long as it lives.
struct AtWork<'a>(&'a AtomicUsize);

impl<'a> AtWork<'a> {
    fn begin(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers until the peer goes, or cannot be understood any more.
pub(super) async fn serve(mut peer: UnixStream, shared: &Shared) {
    let mut first = [0; 1];
    // Waits for the next request, as long as it takes.
    while let Ok(1) = peer.read(&mut first).await {
        let _at_work = AtWork::begin(&shared.at_work);
        let (answer, goes_on) = match timeout(PATIENCE, read(&mut peer, first[0], shared)).await {
            Ok(Ok((body, room))) => {
                let answer = match Request::parse(&body) {
                    Ok(request) => shared.queue.embed(request).await,
                    Err(why) => Err(refusal(Code::BadRequest, why.to_string())),
                };
                drop(room);
                (answer.map_or_else(EmbedReply::Refusal, EmbedReply::Vectors), true)
            }
            // The rest of the request is not read, so nothing that follows could be understood.
            Ok(Err(Some(refusal))) => (EmbedReply::Refusal(refusal), false),
            Ok(Err(None)) => return,
            Err(_) => (
                EmbedReply::Refusal(refusal(
                    Code::BadRequest,
                    "the request took longer than ten seconds to arrive",
                )),
                false,
            ),
        };
        let frame = answer.to_frame().or_else(|why| {
            EmbedReply::Refusal(refusal(Code::Failed, format!("the model gave {why}"))).to_frame()
        });
        let Ok(frame) = frame else { return };
        let written = timeout(PATIENCE, peer.write_all(&frame)).await;
        if !goes_on || !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// The request's body, and the room that it takes. `None` when the peer has gone.
async fn read<'a>(
    peer: &mut UnixStream,
    first: u8,
    shared: &'a Shared,
) -> Result<(Vec<u8>, tokio::sync::SemaphorePermit<'a>), Option<Refusal>> {
    let mut rest = [0; 3];
    peer.read_exact(&mut rest).await.map_err(|_| None)?;
    let length = u32::from_le_bytes([first, rest[0], rest[1], rest[2]]) as usize;
    if length > LONGEST_REQUEST {
        let why = format!("a request of {length} bytes, the longest has {LONGEST_REQUEST}");
        return Err(Some(refusal(Code::BadRequest, why)));
    }
    let kib = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX);
    let room = shared
        .room
        .try_acquire_many(kib)
        .map_err(|_| Some(refusal(Code::Busy, "too much is being asked for at once; try again")))?;
    let mut body = vec![0; length];
    peer.read_exact(&mut body).await.map_err(|_| None)?;
    Ok((body, room))
}

/// Tells one connection too many.
pub(super) async fn turn_away(mut peer: UnixStream) {
    let answer = EmbedReply::Refusal(refusal(Code::Busy, "too many connections; try again"));
    if let Ok(frame) = answer.to_frame() {
        let _gone = timeout(PATIENCE, peer.write_all(&frame)).await;
    }
}

pub(super) fn refusal(code: Code, message: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into() }
}
