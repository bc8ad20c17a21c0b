//! The queue of texts. Queries come before passages, and the number of waiting texts is limited.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use nexus_embed_client::protocol::{Code, Refusal, Request, TextKind, Vectors};
use tokio::sync::oneshot;

use super::connection::refusal;

/// The most texts that wait.
const MOST_WAITING: usize = 512;

/// The bytes of a batch, some sixty tokens, unless one request has more. A larger batch takes as
/// long per token, and the first request would wait for later ones.
const BATCH: usize = 300;

/// The bytes to add per text for its two special tokens.
const SPECIAL: usize = 8;

/// A request, and the channel for its answer.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) answer: oneshot::Sender<Result<Vectors, Refusal>>,
}

#[derive(Default)]
struct Waiting {
    queries: VecDeque<Job>,
    passages: VecDeque<Job>,
    texts: usize,
    /// The number of requests so far.
    requests: u64,
    /// Whether the thread of the connections has run since the worker last checked.
    beat: bool,
    is_closed: bool,
}

/// The queue between the two threads.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// The next work for the worker.
pub(super) enum Next {
    Jobs(Vec<Job>),
    /// Notify the watchdog.
    Beat,
    End,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No code under the lock can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a request, and waits for its vectors.
    pub(super) async fn embed(&self, request: Request) -> Result<Vectors, Refusal> {
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.lock();
            waiting.requests += 1;
            if waiting.texts > 0 && waiting.texts + request.texts.len() > MOST_WAITING {
                return Err(refusal(Code::Busy, "too many texts are waiting; try again"));
            }
            waiting.texts += request.texts.len();
            let job = Job { request, answer };
            match job.request.kind {
                TextKind::Query => waiting.queries.push_back(job),
                TextKind::Passage => waiting.passages.push_back(job),
            }
        }
        self.changed.notify_one();
        answered.await.unwrap_or_else(|_| Err(refusal(Code::Failed, "the service is stopping; try again")))
    }

    /// Returns the number of requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.lock().requests
    }

    /// Records that the thread of the connections runs.
    pub(super) fn beat(&self) {
        self.lock().beat = true;
        self.changed.notify_one();
    }

    /// Lets the worker end after the last request.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Waits for the next work and returns it.
    pub(super) fn next(&self) -> Next {
        let mut waiting = self.lock();
        loop {
            let jobs = waiting.take(TextKind::Query);
            let jobs = if jobs.is_empty() { waiting.take(TextKind::Passage) } else { jobs };
            if !jobs.is_empty() {
                return Next::Jobs(jobs);
            }
            if waiting.is_closed {
                return Next::End;
            }
            if std::mem::take(&mut waiting.beat) {
                return Next::Beat;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns the waiting queries, and whether the thread of the connections has run.
    pub(super) fn meanwhile(&self) -> (Vec<Job>, bool) {
        let mut waiting = self.lock();
        (waiting.take(TextKind::Query), std::mem::take(&mut waiting.beat))
    }
}

impl Waiting {
    fn take(&mut self, kind: TextKind) -> Vec<Job> {
        let from = match kind {
            TextKind::Query => &mut self.queries,
            TextKind::Passage => &mut self.passages,
        };
        let mut jobs = Vec::new();
        let mut bytes = 0;
        while let Some(job) = from.front() {
            let texts = &job.request.texts;
            let more: usize = texts.iter().map(|text| text.len() + SPECIAL).sum();
            if bytes > 0 && bytes + more > BATCH {
                break;
            }
            bytes += more;
            self.texts -= texts.len();
            jobs.extend(from.pop_front());
        }
        jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: TextKind, texts: usize) -> Request {
        Request::new(kind, vec![String::new(); texts])
    }

    fn taken(queue: &Queue) -> Vec<(TextKind, usize)> {
        match queue.next() {
            Next::Jobs(jobs) => jobs.iter().map(|job| (job.request.kind, job.request.texts.len())).collect(),
            Next::Beat | Next::End => Vec::new(),
        }
    }

    #[test]
    fn queries_go_first_and_requests_go_together() {
        let queue = Queue::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            use TextKind::{Passage, Query};
            let asked = [(Passage, 30), (Passage, 4), (Passage, 5), (Query, 2), (Query, 64)];
            let mut waiting: Vec<_> =
                asked.iter().map(|(kind, texts)| Box::pin(queue.embed(request(*kind, *texts)))).collect();
            for one in &mut waiting {
                assert!(tokio::time::timeout(std::time::Duration::ZERO, one).await.is_err());
            }
            assert_eq!(taken(&queue), [(Query, 2)]);
            assert_eq!(taken(&queue), [(Query, 64)]);
            assert_eq!(taken(&queue), [(Passage, 30), (Passage, 4)]);
            assert_eq!(taken(&queue), [(Passage, 5)]);
            queue.close();
            assert!(matches!(queue.next(), Next::End));
        });
    }

    #[test]
    fn a_request_beyond_the_limit_is_refused_at_once() {
        let queue = Queue::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut waiting: Vec<_> =
                (0..8).map(|_| Box::pin(queue.embed(request(TextKind::Passage, 64)))).collect();
            for one in &mut waiting {
                assert!(tokio::time::timeout(std::time::Duration::ZERO, one).await.is_err());
            }
            assert_eq!(queue.embed(request(TextKind::Query, 1)).await.unwrap_err().code, Code::Busy);
            assert_eq!(taken(&queue).len(), 1);
            let one = Box::pin(queue.embed(request(TextKind::Query, 1)));
            assert!(tokio::time::timeout(std::time::Duration::ZERO, one).await.is_err());
        });
    }
}
