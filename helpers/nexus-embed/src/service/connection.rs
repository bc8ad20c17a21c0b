//! Serves one connection. Answers each request before it reads the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_embed_client::protocol::{Code, EmbedReply, LONGEST_REQUEST, Refusal, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::Shared;

/// Time limit for the rest of a request after its first byte, and for the client to read the
/// answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Counts a request in progress until it is dropped.
struct InProgress<'a>(&'a AtomicUsize);

impl<'a> InProgress<'a> {
    fn begin(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers requests until the peer closes the connection or breaks the protocol.
pub(super) async fn serve(mut peer: UnixStream, shared: &Shared) {
    let mut first = [0; 1];
    // Waits for the next request without a limit.
    while let Ok(1) = peer.read(&mut first).await {
        let _in_progress = InProgress::begin(&shared.in_progress);
        let (answer, keep_open) = match timeout(LIMIT, read(&mut peer, first[0], shared)).await {
            Ok(Ok((body, memory))) => {
                let answer = match Request::parse(&body) {
                    Ok(request) => shared.queue.embed(request).await,
                    Err(why) => Err(refusal(Code::BadRequest, why.to_string())),
                };
                drop(memory);
                (answer.map_or_else(EmbedReply::Refusal, EmbedReply::Vectors), true)
            }
            // The rest of the request stays unread, so a next request could not be parsed.
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
        let written = timeout(LIMIT, peer.write_all(&frame)).await;
        if !keep_open || !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// Returns the request's body and the permit for its memory. The error is `None` if the peer has
/// gone.
async fn read<'a>(
    peer: &mut UnixStream,
    first: u8,
    shared: &'a Shared,
) -> Result<(Vec<u8>, tokio::sync::SemaphorePermit<'a>), Option<Refusal>> {
    let mut rest = [0; 3];
    peer.read_exact(&mut rest).await.map_err(|_| None)?;
    let length = u32::from_le_bytes([first, rest[0], rest[1], rest[2]]) as usize;
    if length > LONGEST_REQUEST {
        let why = format!("a request of {length} bytes, more than {LONGEST_REQUEST}");
        return Err(Some(refusal(Code::BadRequest, why)));
    }
    let kib = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX);
    let memory = shared
        .memory
        .try_acquire_many(kib)
        .map_err(|_| Some(refusal(Code::Busy, "too many requests at once; try again")))?;
    let mut body = vec![0; length];
    peer.read_exact(&mut body).await.map_err(|_| None)?;
    Ok((body, memory))
}

/// Refuses a connection beyond the limit.
pub(super) async fn turn_away(mut peer: UnixStream) {
    let answer = EmbedReply::Refusal(refusal(Code::Busy, "too many connections; try again"));
    if let Ok(frame) = answer.to_frame() {
        let _gone = timeout(LIMIT, peer.write_all(&frame)).await;
    }
}

pub(super) fn refusal(code: Code, message: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into() }
}
