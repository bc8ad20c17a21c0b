//! Serves one connection. Answers each request before it reads the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_embed_client::protocol::{Code, EmbedReply, LONGEST_REQUEST, Refusal, Request};
use nexus_sharing::shares::Share;
use nexus_sharing::slots::Slot;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::Shared;

/// Time limit for the rest of a request after its first byte, and for the client to read the
/// answer. A client that reads none loses its connection, at the latest then.
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

/// A request that has arrived.
struct Received<'a> {
    /// Its body and the share of its memory, or why it is refused. The rest of a refused request stays
    /// unread, so a next one could not be parsed.
    body: Result<(Vec<u8>, Share<u32>), Refusal>,
    _in_progress: InProgress<'a>,
}

/// Answers requests until the peer closes the connection, breaks the protocol or reads no answer, or
/// another connection needs its slot.
pub(super) async fn serve(mut peer: UnixStream, user: u32, slot: Slot<u32>, shared: &Shared) {
    loop {
        let received = tokio::select! {
            // Reads first, so that a request that has arrived is in progress before the connection
            // has to close.
            biased;
            received = receive(&mut peer, user, shared) => received,
            () = slot.must_close() => return,
        };
        let Some(received) = received else { return };
        let (answer, keep_open) = match received.body {
            Ok((body, memory)) => {
                let (answer, is_valid) = match Request::parse(&body) {
                    Ok(request) => (slot.work(shared.queue.embed(request)).await, true),
                    Err(why) => (Err(refusal(Code::BadRequest, why.to_string())), false),
                };
                drop(memory);
                (answer.map_or_else(EmbedReply::Refusal, EmbedReply::Vectors), is_valid)
            }
            Err(refusal) => (EmbedReply::Refusal(refusal), false),
        };
        let frame = answer.to_frame().or_else(|why| {
            EmbedReply::Refusal(refusal(Code::Failed, format!("the model gave {why}"))).to_frame()
        });
        let Ok(frame) = frame else { return };
        let is_written = tokio::select! {
            // Writes first, so that an answer that fits in the socket's buffer is whole.
            biased;
            written = timeout(LIMIT, peer.write_all(&frame)) => matches!(written, Ok(Ok(()))),
            () = slot.must_close() => false,
        };
        if !keep_open || !is_written || slot.is_told_to_close() {
            return;
        }
    }
}

/// Receives the next request of `user`. Waits for its first byte without a limit. Returns `None` if
/// the peer has gone.
async fn receive<'a>(peer: &mut UnixStream, user: u32, shared: &'a Shared) -> Option<Received<'a>> {
    let mut first = [0; 1];
    let Ok(1) = peer.read(&mut first).await else { return None };
    let in_progress = InProgress::begin(&shared.in_progress);
    let body = match timeout(LIMIT, read(peer, first[0], user, shared)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(why)) => Err(why?),
        Err(_) => Err(refusal(Code::BadRequest, "the request took longer than ten seconds to arrive")),
    };
    Some(Received { body, _in_progress: in_progress })
}

/// Returns the request's body and the share of its memory. The error is `None` if the peer has gone.
async fn read(
    peer: &mut UnixStream,
    first: u8,
    user: u32,
    shared: &Shared,
) -> Result<(Vec<u8>, Share<u32>), Option<Refusal>> {
    let mut rest = [0; 3];
    peer.read_exact(&mut rest).await.map_err(|_| None)?;
    let length = u32::from_le_bytes([first, rest[0], rest[1], rest[2]]) as usize;
    if length > LONGEST_REQUEST {
        let why = format!("a request of {length} bytes, more than {LONGEST_REQUEST}");
        return Err(Some(refusal(Code::BadRequest, why)));
    }
    let memory = shared
        .memory
        .take(user, length.div_ceil(1024))
        .ok_or_else(|| Some(refusal(Code::Busy, "too many requests at once; try again")))?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nexus_embed_client::protocol::{TextKind, Vectors};
    use nexus_sharing::shares::Shares;
    use nexus_sharing::slots::Slots;
    use nix::sys::socket::{setsockopt, sockopt};

    use super::*;
    use crate::service::queue::Next;

    fn shared() -> Arc<Shared> {
        let in_progress = AtomicUsize::new(0);
        Arc::new(Shared { queue: Arc::default(), memory: Shares::new(16), in_progress })
    }

    /// Opens a connection of `user` whose client has sent `sent`.
    async fn connect(shared: &Arc<Shared>, slots: &Arc<Slots<u32>>, user: u32, sent: &[u8]) -> UnixStream {
        let (mut client, peer) = UnixStream::pair().unwrap();
        // An answer of many vectors does not fit.
        setsockopt(&peer, sockopt::SndBuf, &4096).unwrap();
        client.write_all(sent).await.unwrap();
        let (slot, shared) = (slots.take(user).unwrap(), Arc::clone(shared));
        tokio::spawn(async move { serve(peer, user, slot, &shared).await });
        client
    }

    fn frame() -> Vec<u8> {
        Request::new(TextKind::Query, vec!["x".to_owned()]).to_frame().unwrap()
    }

    #[tokio::test]
    async fn a_connection_without_a_whole_request_makes_room() {
        let frame = frame();
        for sent in [&[], &frame[..1], &frame[..frame.len() - 1]] {
            let slots = Slots::new(1);
            let mut client = connect(&shared(), &slots, 1, sent).await;
            tokio::task::yield_now().await;
            let _next = slots.take(2).unwrap();
            assert!(matches!(client.read(&mut [0; 1]).await, Ok(0) | Err(_)), "{} bytes", sent.len());
        }
    }

    #[tokio::test]
    async fn a_connection_at_work_keeps_its_slot() {
        let (shared, slots) = (shared(), Slots::new(1));
        let _client = connect(&shared, &slots, 1, &frame()).await;
        while shared.queue.requests() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(slots.take(2).is_none());
    }

    #[tokio::test]
    async fn a_client_that_reads_no_answer_makes_room() {
        let (shared, slots) = (shared(), Slots::new(1));
        let mut client = connect(&shared, &slots, 1, &frame()).await;
        while shared.queue.requests() == 0 {
            tokio::task::yield_now().await;
        }
        let values = vec![0.0; 64 * 2000];
        let size = values.len() * 4;
        let Next::Jobs(jobs) = shared.queue.next() else { panic!("there is a request") };
        for job in jobs {
            let (version, values) = ("m@01234567".to_owned(), values.clone());
            job.answer.send(Ok(Vectors { version, dimensions: 2000, values })).unwrap();
        }
        // The answer has begun, and waits for the client.
        client.readable().await.unwrap();
        let _next = slots.take(2).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert!(!answer.is_empty() && answer.len() < size, "{} bytes", answer.len());
    }

    #[tokio::test]
    async fn a_malformed_request_is_refused_and_closes_its_connection() {
        let too_long = u32::try_from(LONGEST_REQUEST + 1).unwrap().to_le_bytes();
        for sent in [&b"\x01\0\0\0{"[..], b"\0\0\0\0", &too_long] {
            let mut client = connect(&shared(), &Slots::new(1), 1, sent).await;
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            let Ok(EmbedReply::Refusal(refusal)) = EmbedReply::parse(&answer[4..]) else {
                panic!("{answer:?}")
            };
            assert_eq!(refusal.code, Code::BadRequest);
        }
    }

    #[tokio::test]
    async fn requests_that_never_arrive_leave_memory_to_others() {
        let (shared, slots) = (shared(), Slots::new(8));
        // Each announces 4 KiB.
        let begun = 4096_u32.to_le_bytes();
        let _held = [connect(&shared, &slots, 1, &begun).await, connect(&shared, &slots, 1, &begun).await];
        while shared.memory.take(1, 4).is_some() {
            tokio::task::yield_now().await;
        }
        let mut third = connect(&shared, &slots, 1, &begun).await;
        assert!(third.read_u32_le().await.unwrap() > 0, "it is refused");
        let _others = connect(&shared, &slots, 2, &frame()).await;
        while shared.queue.requests() == 0 {
            tokio::task::yield_now().await;
        }
    }
}
