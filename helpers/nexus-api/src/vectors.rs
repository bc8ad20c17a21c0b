//! Texts to vectors, by nexus-embed, within a limit of time. It may be asleep, have no model, or not be there at all.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nexus_embed_client::client::{Client, EmbedError};
use nexus_embed_client::protocol::{Code, MOST_TEXTS, TextKind};

use crate::input::DIMENSIONS;
use crate::input::episode::Embedding;

/// Connections that are kept.
const MOST_KEPT: usize = 4;

/// How it is with nexus-embed, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody has asked yet, or it answered.
    Available,
    /// The last one who asked had no answer.
    Failing,
    /// There is no socket, or no model.
    Absent,
}

/// Why there is no vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoVector {
    /// There is no model on this machine.
    NoModel,
    /// Not now.
    NotNow,
}

/// The way to nexus-embed.
pub(crate) struct Vectors {
    socket: PathBuf,
    idle: Mutex<Vec<Client>>,
    known: Mutex<Known>,
}

struct Known {
    /// The version of its vectors when it last answered.
    version: Option<String>,
    state: State,
}

impl Vectors {
    /// At `socket`.
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            idle: Mutex::default(),
            known: Mutex::new(Known { version: None, state: State::Available }),
        }
    }

    /// How it is with it. Asks nothing of it: that would wake it.
    pub(crate) fn state(&self) -> State {
        if !self.socket.exists() {
            return State::Absent;
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).state
    }

    /// The version of the vectors that it last made.
    pub(crate) fn version(&self) -> Option<String> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).version.clone()
    }

    /// The vector of a query.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn of_query(&self, query: &str, limit: Duration) -> Result<Embedding, NoVector> {
        let mut vectors = self.ask(TextKind::Query, vec![query.to_owned()], limit).await?;
        vectors.pop().ok_or(NoVector::NotNow)
    }

    /// The vectors of texts that are to be stored, as many as there are texts, all within `limit`.
    ///
    /// # Errors
    /// Why there are none.
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
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut client = kept.unwrap_or_else(|| Client::new(&self.socket));
        let answer = tokio::time::timeout(limit, client.embed(kind, texts)).await;
        let answer = match answer {
            Ok(Ok(vectors)) if vectors.dimensions == DIMENSIONS => Ok(vectors),
            Ok(Ok(vectors)) => {
                log::warn!(
                    "nexus-embed gives vectors of {} numbers, and the column has {DIMENSIONS}",
                    vectors.dimensions
                );
                Err(NoVector::NoModel)
            }
            Ok(Err(EmbedError::Refused(refusal))) if refusal.code == Code::NoModel => Err(NoVector::NoModel),
            Ok(Err(error)) => {
                log::debug!("no vector: {error}");
                Err(NoVector::NotNow)
            }
            // The client is dropped: its answer may still come.
            Err(_) => return self.learn(Err(NoVector::NotNow)),
        };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_KEPT {
            idle.push(client);
        }
        drop(idle);
        self.learn(answer.map(|vectors| {
            let of = |row: &[f32]| Embedding { vector: row.to_vec(), version: vectors.version.clone() };
            vectors.rows().map(of).collect()
        }))
    }

    fn learn(&self, answer: Result<Vec<Embedding>, NoVector>) -> Result<Vec<Embedding>, NoVector> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &answer {
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
        answer
    }
}
