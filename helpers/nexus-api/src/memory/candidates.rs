//! The number of candidates in a search of the vector index (pgvector's `hnsw.ef_search`). The more
//! rows there are, the smaller the share of the nearest ones that a number of candidates finds.

use std::time::Duration;

use deadpool_postgres::tokio_postgres::{Client, Error};
use deadpool_postgres::{Hook, HookError};

use crate::memory::TABLE;

/// The least number. It finds 0.975 of the ten nearest among [`ENOUGH_FOR`] rows.
const LEAST: f64 = 100.0;
const ENOUGH_FOR: f64 = 100_000.0;

/// pgvector's own limit.
const MOST: f64 = 1000.0;

/// The age at which a connection is replaced, so that a new one uses the current number of rows.
const LONGEST: Duration = Duration::from_secs(3600);

/// Returns the number of candidates for a number of rows.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn enough_for(rows: f64) -> u16 {
    // Measured with a million rows (nexus-bench's mixture): 100 find 0.92, 160 find 0.94, 200 find
    // 0.96, and 400 hardly more (docs/BENCHMARKS.md). The cube root gives 215.
    (LEAST * (rows / ENOUGH_FOR).cbrt()).clamp(LEAST, MOST) as u16
}

/// Sets the number of candidates in a new session from the number of rows. It has its own time
/// limit, because the pool's limit for connecting does not cover it.
pub(super) fn by_rows(limit: Duration) -> Hook {
    Hook::async_fn(move |client, _| {
        Box::pin(async move {
            let set = tokio::time::timeout(limit, set_by_rows(client)).await;
            set.map_err(|_| HookError::message("it does not answer"))?.map_err(HookError::Backend)
        })
    })
}

/// Refuses a connection that is too old.
pub(super) fn is_recent() -> Hook {
    Hook::sync_fn(
        |_, metrics| {
            if metrics.age() < LONGEST { Ok(()) } else { Err(HookError::message("it is an hour old")) }
        },
    )
}

/// Uses the number that ANALYZE, VACUUM or CREATE INDEX counted last; -1 if none has.
async fn set_by_rows(client: &Client) -> Result<(), Error> {
    let estimate = "SELECT coalesce((SELECT reltuples FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)), 0)";
    let rows: f32 = client.query_one(estimate, &[&TABLE]).await?.try_get(0)?;
    client.batch_execute(&format!("SET hnsw.ef_search = {}", enough_for(rows.into()))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_grow_with_the_rows_up_to_the_limit() {
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
