//! Counts.

use std::collections::BTreeMap;

use crate::memory::TABLE;
use crate::memory::error::DbError;
use crate::memory::pipeline::Step;
use crate::memory::pool::Database;

const QUEUE: &str = "SELECT state, count(*) FROM nexus_memory.embedding_queue GROUP BY state";

/// What an agent has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) episodes: i64,
    pub(crate) with_embedding: i64,
    /// By state.
    pub(crate) queue: BTreeMap<String, i64>,
}

impl Database {
    /// Counts what `agent` has.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn statistics(&self, agent: &str) -> Result<Statistics, DbError> {
        // Two counts that indexes answer alone (0005-api.sql), where one over all rows would read all vectors.
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

    /// How many of `agent`'s episodes wait for a vector.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn queue_depth(&self, agent: &str) -> Result<i64, DbError> {
        let rows = self.rows(agent, "SELECT count(*) FROM nexus_memory.embedding_queue", Vec::new()).await?;
        rows.first().map_or(Ok(0), |row| Ok(row.try_get(0)?))
    }
}
