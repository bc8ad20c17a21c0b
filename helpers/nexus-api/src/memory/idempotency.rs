//! `Idempotency-Key`: the transaction that stores the episodes also stores the key, a fingerprint
//! of the request, and the ids. A second request with the key waits for the end of the first, and
//! then finds its ids.

use std::io::Read;

use deadpool_postgres::tokio_postgres::Row;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::memory::error::DbError;
use crate::memory::pipeline::Step;

/// Keys are valid for 24 hours, as docs/API.md and migration 0005 say.
const EXPIRE: &str = "DELETE FROM nexus_memory.api_idempotency
    WHERE agent_id = current_setting('nexus.agent_id') AND created_at < now() - interval '24 hours'";

const CLAIM: &str = "INSERT INTO nexus_memory.api_idempotency (agent_id, key, fingerprint, episode_ids)
    VALUES (current_setting('nexus.agent_id'), $1, $2, $3) ON CONFLICT (agent_id, key) DO NOTHING";

const LOOK_UP: &str = "SELECT fingerprint, episode_ids, created_at FROM nexus_memory.api_idempotency
    WHERE agent_id = current_setting('nexus.agent_id') AND key = $1";

/// The longest key, in characters.
pub(crate) const LONGEST_KEY: usize = 200;

/// The key of a request.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) key: String,
    fingerprint: Vec<u8>,
    /// The ids of the episodes if the key is new.
    pub(crate) ids: Vec<Uuid>,
}

/// What an earlier request with the same key did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Earlier {
    /// There was no such request.
    None,
    /// It was the same request, and stored episodes with these ids.
    Stored(Vec<Uuid>, Timestamp),
    /// It was another request.
    Differs,
}

impl Claim {
    /// Creates the claim of a request to `route` with `body`, which stores `number` episodes.
    ///
    /// # Errors
    /// If the system has no random bytes for ids.
    pub(crate) fn new(key: String, route: &str, body: &[u8], number: usize) -> std::io::Result<Self> {
        // The digest includes the key, so that it does not show that two requests have the same
        // text.
        let digest = Sha256::new().chain_update(&key).chain_update([0]).chain_update(route).chain_update([0]);
        let fingerprint = digest.chain_update(body).finalize().to_vec();
        let ids = (0..number).map(|_| random_id()).collect::<std::io::Result<_>>()?;
        Ok(Self { key, fingerprint, ids })
    }

    /// Returns the steps before the episodes.
    pub(super) fn steps(&self) -> Vec<Step<'_>> {
        vec![Step::new(EXPIRE, Vec::new()), Step::new(CLAIM, vec![&self.key, &self.fingerprint, &self.ids])]
    }

    /// Returns the step after the episodes.
    pub(super) fn lookup(&self) -> Step<'_> {
        Step::new(LOOK_UP, vec![&self.key])
    }

    /// Reads the rows of [`Claim::lookup`].
    pub(super) fn earlier(&self, found: &[Row]) -> Result<Earlier, DbError> {
        // There is always a row: this transaction inserted it or saw it.
        let Some(row) = found.first() else { return Ok(Earlier::Differs) };
        let fingerprint: Vec<u8> = row.try_get(0)?;
        let ids: Vec<Uuid> = row.try_get(1)?;
        if ids == self.ids {
            return Ok(Earlier::None);
        }
        if fingerprint != self.fingerprint {
            return Ok(Earlier::Differs);
        }
        Ok(Earlier::Stored(ids, row.try_get(2)?))
    }
}

/// Returns a random UUID (version 4).
fn random_id() -> std::io::Result<Uuid> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}
