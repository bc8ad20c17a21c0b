//! Gets vectors from nexus-embed within a time limit. nexus-embed may be stopped, without a model,
//! or not installed.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nexus_embed_client::client::{Client, EmbedError};
use nexus_embed_client::protocol::{Code, MOST_TEXTS, TextKind};

use crate::input::DIMENSIONS;
use crate::input::episode::Embedding;

/// The most idle connections that stay open.
const MOST_IDLE: usize = 4;

/// The last known state of nexus-embed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It answered the last request, or has had none.
    Available,
    /// It did not answer the last request.
    Failing,
    /// There is no socket, or no model.
    Absent,
}

/// Why there is no vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoVector {
    /// There is no model on this machine.
    NoModel,
    /// nexus-embed failed, or did not answer in time.
    NotNow,
}

/// A client of nexus-embed.
pub(crate) struct Vectors {
    socket: PathBuf,
    idle: Mutex<Vec<Client>>,
    known: Mutex<Known>,
}

struct Known {
    /// The version of the vectors in its last reply.
    version: Option<String>,
    state: State,
}

impl Vectors {
    /// Creates a client of the service at `socket`.
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            idle: Mutex::default(),
            known: Mutex::new(Known { version: None, state: State::Available }),
        }
    }

    /// Returns the last known state. Sends no request, because that would start nexus-embed.
    pub(crate) fn state(&self) -> State {
        if !self.socket.exists() {
            return State::Absent;
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).state
    }

    /// Returns the version of the vectors in its last reply.
    pub(crate) fn version(&self) -> Option<String> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).version.clone()
    }

    /// Returns the vector of a query.
    pub(crate) async fn of_query(&self, query: &str, limit: Duration) -> Result<Embedding, NoVector> {
        let mut vectors = self.ask(TextKind::Query, vec![query.to_owned()], limit).await?;
        vectors.pop().ok_or(NoVector::NotNow)
    }

    /// Returns one vector for each of `texts`, which will be stored; `limit` is for all of them.
    pub(crate) async fn of_texts(&self, texts: &[&str], limit: Duration) -> Result<Vec<Embedding>, NoVector> {
        let end = tokio::time::Instant::now() + limit;
        let mut vectors = Vec::with_capacity(texts.len());
        for some in texts.chunks(MOST_TEXTS) {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            vectors.extend(
                self.ask(TextKind::Passage, some.iter().map(ToString::to_string).collect(), left).await?,
            );
        }
        Ok(vectors)
    }

    async fn ask(
        &self,
        kind: TextKind,
        texts: Vec<String>,
        limit: Duration,
    ) -> Result<Vec<Embedding>, NoVector> {
        if !self.socket.exists() {
            return Err(NoVector::NoModel);
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut client = idle.unwrap_or_else(|| Client::new(&self.socket));
        let reply = tokio::time::timeout(limit, client.embed(kind, texts)).await;
        let vectors = match reply {
            Ok(Ok(vectors)) if vectors.dimensions == DIMENSIONS => Ok(vectors),
            Ok(Ok(vectors)) => {
                log::warn!(
                    "nexus-embed makes vectors of {} numbers, but the column has {DIMENSIONS}",
                    vectors.dimensions
                );
                Err(NoVector::NoModel)
            }
            Ok(Err(EmbedError::Refused(refusal))) if refusal.code == Code::NoModel => Err(NoVector::NoModel),
            Ok(Err(error)) => {
                log::debug!("no vector: {error}");
                Err(NoVector::NotNow)
            }
            // Drops the client, because its reply may still come.
            Err(_) => return self.learn(Err(NoVector::NotNow)),
        };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(client);
        }
        drop(idle);
        self.learn(vectors.map(|vectors| {
            let of = |row: &[f32]| Embedding { vector: row.to_vec(), version: vectors.version.clone() };
            vectors.rows().map(of).collect()
        }))
    }

    fn learn(&self, result: Result<Vec<Embedding>, NoVector>) -> Result<Vec<Embedding>, NoVector> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(vectors) => {
                known.state = State::Available;
                if let Some(vector) = vectors.first()
                    && known.version.as_ref() != Some(&vector.version)
                {
                    known.version = Some(vector.version.clone());
                }
            }
            Err(NoVector::NoModel) => known.state = State::Absent,
            Err(NoVector::NotNow) => known.state = State::Failing,
        }
        result
    }
}
