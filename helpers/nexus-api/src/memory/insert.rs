//! Stores episodes.

use deadpool_postgres::tokio_postgres::Row;
use jiff::Timestamp;
use pgvector::Vector;
use serde_json::Value;
use uuid::Uuid;

use crate::input::episode::NewEpisode;
use crate::memory::error::DbError;
use crate::memory::idempotency::{Claim, Earlier};
use crate::memory::pipeline::Step;
use crate::memory::pool::Database;

/// Returns the id and time. A trigger queues a row without a vector for the backfill.
const INSERT: &str = r#"INSERT INTO nexus_memory.zep_episodic_memory
    (content, importance_score, tags, metadata, embedding, embedding_version, agent_id, "timestamp")
    VALUES ($1, $2, $3, $4, $5, $6, current_setting('nexus.agent_id'), clock_timestamp())
    RETURNING episode_id, "timestamp""#;

/// The same for a request with a key. Inserts nothing if the statement before did not insert the
/// key.
const INSERT_WITH_KEY: &str = r#"INSERT INTO nexus_memory.zep_episodic_memory
    (content, importance_score, tags, metadata, embedding, embedding_version, agent_id, "timestamp", episode_id)
    SELECT $1::text, $2::double precision, $3::text[], $4::jsonb, $5::public.vector, $6::text, current_setting('nexus.agent_id'),
        clock_timestamp(), $7::uuid
    FROM nexus_memory.api_idempotency
    WHERE agent_id = current_setting('nexus.agent_id') AND key = $8
        AND $7 = ANY (episode_ids)
    RETURNING episode_id, "timestamp""#;

/// Episodes stored by this request, or by an earlier one with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) at: Timestamp,
    /// Whether an earlier request stored them.
    pub(crate) is_replayed: bool,
}

/// The key was used for another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyUsed;

/// The values of one insert. Its statement borrows them.
pub(super) struct Prepared<'a> {
    episode: &'a NewEpisode,
    vector: Option<Vector>,
    version: Option<&'a str>,
    pub(super) id: Uuid,
}

impl<'a> Prepared<'a> {
    pub(super) fn of(episode: &'a NewEpisode, id: Uuid) -> Self {
        Self {
            episode,
            vector: episode.embedding.as_ref().map(|embedding| Vector::from(embedding.vector.clone())),
            version: episode.embedding.as_ref().map(|embedding| embedding.version.as_str()),
            id,
        }
    }

    pub(super) fn values(&self) -> Vec<crate::memory::pipeline::Value<'_>> {
        let NewEpisode { content, importance, tags, metadata, .. } = self.episode;
        vec![content, importance, tags, metadata as &Value, &self.vector, &self.version]
    }
}

impl Database {
    /// Stores `episodes`, all or none. With a `claim` whose key was used before, stores nothing and
    /// returns what the first request stored.
    ///
    /// # Errors
    /// If the database fails, or the key was used for another request.
    pub(crate) async fn insert(
        &self,
        agent: &str,
        episodes: &[NewEpisode],
        claim: Option<&Claim>,
    ) -> Result<Result<Stored, KeyUsed>, DbError> {
        let prepared: Vec<Prepared<'_>> = episodes
            .iter()
            .enumerate()
            .map(|(place, episode)| {
                let id = claim.and_then(|claim| claim.ids.get(place).copied()).unwrap_or_default();
                Prepared::of(episode, id)
            })
            .collect();
        let Some(claim) = claim else {
            let steps: Vec<Step<'_>> = prepared.iter().map(|one| Step::new(INSERT, one.values())).collect();
            let rows = self.write(agent, &steps).await?;
            return Ok(Ok(stored(&rows)?));
        };
        let mut steps = claim.steps();
        let before = steps.len();
        steps.extend(prepared.iter().map(|one| {
            let mut values = one.values();
            values.push(&one.id);
            values.push(&claim.key);
            Step::new(INSERT_WITH_KEY, values)
        }));
        steps.push(claim.lookup());
        let mut rows = self.write(agent, &steps).await?;
        let found = rows.pop().unwrap_or_default();
        Ok(match claim.earlier(&found)? {
            Earlier::None => Ok(stored(&rows.split_off(before))?),
            Earlier::Stored(ids, at) => Ok(Stored { ids, at, is_replayed: true }),
            Earlier::Differs => Err(KeyUsed),
        })
    }
}

fn stored(rows: &[Vec<Row>]) -> Result<Stored, DbError> {
    let mut ids = Vec::with_capacity(rows.len());
    let mut at = Timestamp::UNIX_EPOCH;
    for row in rows.iter().flatten() {
        ids.push(row.try_get(0)?);
        at = row.try_get(1)?;
    }
    Ok(Stored { ids, at, is_replayed: false })
}
