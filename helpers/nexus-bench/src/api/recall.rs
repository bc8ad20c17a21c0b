//! Measures how many of the ten nearest rows a search finds. The server computes the exact result
//! by comparing with every row.

use nexus_cli::failure::Result;
use nexus_postgres::blocking::Control;

use crate::data::literal;

/// Counts the exact ten rows, and how many of the found ones are among them. Any row as near as the
/// tenth counts. A row with a negative cosine does not count, because no search returns it (the
/// least `min_similarity` is 0).
const EXACT: &str = "\
WITH row AS (SELECT episode_id, embedding OPERATOR(public.<=>) $1::text::public.vector AS far FROM \
  nexus_memory.zep_episodic_memory WHERE embedding_version = $2 AND (NOT $3 OR tags @> '{rare}')), \
 near AS MATERIALIZED (SELECT far FROM row WHERE far <= 1 ORDER BY far LIMIT 10) \
SELECT (SELECT count(*) FROM near), (SELECT count(*) FROM row WHERE episode_id::text = ANY($4) \
  AND far <= (SELECT max(far) + 1e-6 FROM near))";

/// Disables indexes, so that each row is compared.
const NO_INDEX: &str =
    "SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off";

/// Exact searches by the server.
pub(super) struct Exact(Control);

impl Exact {
    /// Prepares a session in the benchmark's database.
    pub(super) fn over(control: Control) -> Result<Self> {
        control.run("preparing exact searches", NO_INDEX)?;
        Ok(Self(control))
    }

    /// Returns the share of the ten rows nearest to `vector` that are in `found`; 1 if there are
    /// none. With `rare`, only rare rows count.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn recall(&self, vector: &[f32], version: &str, rare: bool, found: &[String]) -> Result<f64> {
        let row = self.0.row("searching exactly", EXACT, &[&literal(vector), &version, &rare, &found])?;
        let (wanted, hits): (i64, i64) = (row.get(0), row.get(1));
        Ok(if wanted == 0 { 1.0 } else { hits.min(wanted) as f64 / wanted as f64 })
    }
}
