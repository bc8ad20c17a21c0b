//! `Idempotency-Key`: the key, what was asked and the ids it was given are put into a table in the transaction that stores
//! the episodes. A second request with the key waits for the first one's end, and then finds what that has stored.

use deadpool_postgres::tokio_postgres::Row;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::memory::error::DbError;
use crate::memory::insert::Stored;
use crate::memory::pipeline::Step;

/// How long a key counts: docs/API.md and migration 0005 say so too.
const EXPIRE: &str = "DELETE FROM nexus_memory.api_idempotency
    WHERE agent_id = current_setting('nexus.agent_id') AND created_at < now() - interval '24 hours'";

const CLAIM: &str = "INSERT INTO nexus_memory.api_idempotency (agent_id, key, fingerprint, episode_ids)
    VALUES (current_setting('nexus.agent_id'), $1, $2, $3) ON CONFLICT (agent_id, key) DO NOTHING";

const LOOK_UP: &str = "SELECT fingerprint, episode_ids, created_at FROM nexus_memory.api_idempotency
    WHERE agent_id = current_setting('nexus.agent_id') AND key = $1";

/// The longest key, in characters.
pub(crate) const LONGEST_KEY: usize = 200;

/// A key that a request came with.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) key: String,
    fingerprint: Vec<u8>,
    /// Those that the episodes get where the key is new.
    pub(crate) ids: Vec<Uuid>,
}

/// The key was used for another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl Claim {
    /// `key` for a request to `route` with `body`, which stores `number` episodes.
    ///
    /// # Errors
    /// When there is no randomness for ids.
    pub(crate) fn new(key: String, route: &str, body: &[u8], number: usize) -> std::io::Result<Self> {
        // With the key, so that equal texts of two requests cannot be told by their sums.
        let digest = Sha256::new().chain_update(&key).chain_update([0]).chain_update(route).chain_update([0]);
        let fingerprint = digest.chain_update(body).finalize().to_vec();
        let ids = (0..number).map(|_| random_id()).collect::<std::io::Result<_>>()?;
        Ok(Self { key, fingerprint, ids })
    }

    /// What comes before the episodes.
    pub(super) fn steps(&self) -> Vec<Step<'_>> {
        vec![Step::new(EXPIRE, Vec::new()), Step::new(CLAIM, vec![&self.key, &self.fingerprint, &self.ids])]
    }

    /// What comes after them.
    pub(super) fn lookup(&self) -> Step<'_> {
        Step::new(LOOK_UP, vec![&self.key])
    }

    /// What the table says: nothing before this request (None), what an earlier one has stored, or another request.
    pub(super) fn is_honoured(&self, found: &[Row]) -> Result<Result<Option<Stored>, Refused>, DbError> {
        // It is there in any case: this transaction put it there or saw it.
        let Some(row) = found.first() else { return Ok(Err(Refused)) };
        let fingerprint: Vec<u8> = row.try_get(0)?;
        let ids: Vec<Uuid> = row.try_get(1)?;
        if ids == self.ids {
            return Ok(Ok(None));
        }
        if fingerprint != self.fingerprint {
            return Ok(Err(Refused));
        }
        Ok(Ok(Some(Stored { ids, at: row.try_get(2)?, is_replayed: true })))
    }
}

/// A random UUID (version 4).
///
/// # Errors
/// When the system has no randomness.
fn random_id() -> std::io::Result<Uuid> {
    Ok(uuid::Builder::from_random_bytes(crate::app::random()?).into_uuid())
}
