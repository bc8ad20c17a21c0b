//! How many of the ten nearest rows a search finds: its answer beside the exact one, which the server computes by comparing
//! with every row.

use nexus_cli::failure::Result;
use nexus_postgres::blocking::Control;

use crate::data::literal;

/// The exact ten, and how many of those that were found are among them. A row as near as the tenth counts, whichever of them
/// was found; one that points away is no answer to any search (the least `min_similarity` is 0).
const EXACT: &str = "\
WITH row AS (SELECT episode_id, embedding OPERATOR(public.<=>) $1::text::public.vector AS far FROM \
  nexus_memory.zep_episodic_memory WHERE embedding_version = $2 AND (NOT $3 OR tags @> '{rare}')), \
 near AS MATERIALIZED (SELECT far FROM row WHERE far <= 1 ORDER BY far LIMIT 10) \
SELECT (SELECT count(*) FROM near), (SELECT count(*) FROM row WHERE episode_id::text = ANY($4) \
  AND far <= (SELECT max(far) + 1e-6 FROM near))";

/// No index: each row is compared.
const EXACTLY: &str =
    "SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off";

/// Asks the server itself.
pub(super) struct Exact(Control);

impl Exact {
    /// Over a session in the benchmark's database.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn over(control: Control) -> Result<Self> {
        control.run("preparing exact searches", EXACTLY)?;
        Ok(Self(control))
    }

    /// The share of the ten rows nearest to `vector`, among the rare ones only where `rare`, that are in `found`; 1 where
    /// there are none.
    ///
    /// # Errors
    /// The server's.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn recall(&self, vector: &[f32], version: &str, rare: bool, found: &[String]) -> Result<f64> {
        let row = self.0.row("searching exactly", EXACT, &[&literal(vector), &version, &rare, &found])?;
        let (wanted, hits): (i64, i64) = (row.get(0), row.get(1));
        Ok(if wanted == 0 { 1.0 } else { hits.min(wanted) as f64 / wanted as f64 })
    }
}
