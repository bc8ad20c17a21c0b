//! Counts episodes.

use std::collections::BTreeMap;

use crate::memory::TABLE;
use crate::memory::error::DbError;
use crate::memory::pipeline::Step;
use crate::memory::pool::Database;

const QUEUE: &str = "SELECT state, count(*) FROM nexus_memory.embedding_queue GROUP BY state";

/// The counts of an agent's episodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) episodes: i64,
    pub(crate) with_embedding: i64,
    /// The queued episodes, by state.
    pub(crate) queue: BTreeMap<String, i64>,
}

impl Database {
    /// Counts the episodes of `agent`.
    pub(crate) async fn statistics(&self, agent: &str) -> Result<Statistics, DbError> {
        // Index-only scans answer these two counts (0005-api.sql). One count over all rows would
        // read all vectors.
        let all = format!("SELECT count(*) FROM {TABLE}");
        let without = format!("SELECT count(*) FROM {TABLE} WHERE embedding IS NULL");
        let steps =
            [Step::new(&all, Vec::new()), Step::new(&without, Vec::new()), Step::new(QUEUE, Vec::new())];
        let rows = self.read(agent, &steps).await?;
        let count = |place: usize| -> Result<i64, DbError> {
            rows.get(place).and_then(|rows| rows.first()).map_or(Ok(0), |row| Ok(row.try_get(0)?))
        };
        let episodes = count(0)?;
        let mut queue = BTreeMap::new();
        for row in rows.get(2).into_iter().flatten() {
            queue.insert(row.try_get(0)?, row.try_get(1)?);
        }
        Ok(Statistics { episodes, with_embedding: episodes - count(1)?, queue })
    }

    /// Returns how many episodes of `agent` wait for a vector.
    pub(crate) async fn queue_depth(&self, agent: &str) -> Result<i64, DbError> {
        let rows = self.rows(agent, "SELECT count(*) FROM nexus_memory.embedding_queue", Vec::new()).await?;
        rows.first().map_or(Ok(0), |row| Ok(row.try_get(0)?))
    }
}
