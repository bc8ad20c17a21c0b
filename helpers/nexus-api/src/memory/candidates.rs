//! How many candidates a search by meaning looks at in the vector index (pgvector's `hnsw.ef_search`): of more rows, a search
//! of as many candidates finds a smaller share of the nearest ones.

use std::time::Duration;

use deadpool_postgres::tokio_postgres::{Client, Error};
use deadpool_postgres::{Hook, HookError};

use crate::memory::TABLE;
use crate::memory::pool::CONNECT;

/// The least, and how many rows it is enough for: it finds 0.975 of the ten nearest.
const LEAST: f64 = 100.0;
const ENOUGH_FOR: f64 = 100_000.0;

/// pgvector's own limit.
const MOST: f64 = 1000.0;

/// A connection that is older is made anew, so that it learns how many rows there are now.
const LEARNS_EVERY: Duration = Duration::from_secs(3600);

/// As many as so many rows need.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn enough_for(rows: f64) -> u16 {
    // Measured among a million (nexus-bench's mixture): 100 find 0.92, 160 find 0.94, 200 find 0.96, and 400 hardly more
    // (docs/BENCHMARKS.md). The third root gives 215.
    (LEAST * (rows / ENOUGH_FOR).cbrt()).clamp(LEAST, MOST) as u16
}

/// Tells a new session how many candidates are enough for the rows that there are. The pool's time for connecting does not count
/// for this, so it has as much of its own.
pub(super) fn by_rows() -> Hook {
    Hook::async_fn(|client, _| {
        Box::pin(async move {
            let told = tokio::time::timeout(CONNECT, set_by_rows(client)).await;
            told.map_err(|_| HookError::message("it does not answer"))?.map_err(HookError::Backend)
        })
    })
}

/// Refuses one that is too old to know.
pub(super) fn knows_the_rows() -> Hook {
    Hook::sync_fn(|_, metrics| {
        if metrics.age() < LEARNS_EVERY { Ok(()) } else { Err(HookError::message("it is an hour old")) }
    })
}

/// What ANALYZE, VACUUM or CREATE INDEX counted last; -1 where none has yet.
async fn set_by_rows(client: &Client) -> Result<(), Error> {
    let counted = "SELECT coalesce((SELECT reltuples FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)), 0)";
    let rows: f32 = client.query_one(counted, &[&TABLE]).await?.try_get(0)?;
    client.batch_execute(&format!("SET hnsw.ef_search = {}", enough_for(rows.into()))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_rows_need_more_and_never_more_than_there_may_be() {
        assert_eq!(enough_for(-1.0), 100);
        assert_eq!(enough_for(100_000.0), 100);
        let mut before = 0;
        for rows in (0..30).map(|power| 2_f64.powi(power)) {
            let candidates = enough_for(rows);
            assert!((100..=1000).contains(&candidates) && candidates >= before, "{rows}: {candidates}");
            before = candidates;
        }
        assert_eq!(before, 1000);
        assert_eq!(enough_for(1_000_000.0), 215);
    }
}
