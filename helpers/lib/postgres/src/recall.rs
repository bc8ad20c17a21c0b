//! Measures vector indexes: the recall of the ten nearest neighbours against the exact answer, on
//! sampled rows of the table, and the time of a search. (pgvector's README, "Indexing";
//! ann-benchmarks defines recall by distance, as here.)

use std::time::Instant;

use nexus_cli::failure::{Exit, Failure, Result};
use serde::{Deserialize, Serialize};

use crate::blocking::Control;
use crate::quote;

/// Neighbours per search.
const NEIGHBOURS: usize = 10;

/// The most searches by an index.
const SEARCHES: u8 = 40;

/// About how many distances to compute for the exact answers of one index.
const DISTANCES: f64 = 4_000_000.0;

/// The fewest exact answers.
const LEAST: usize = 5;

/// The relative tolerance of equal distances: index and table may add in a different order.
const TOLERANCE: f64 = 1e-6;

/// Lists every vector index with the parts of its searches: index, table, indexed expression, its
/// type, the operator that orders by distance, predicate, rows.
const INDEXES: &str = "\
SELECT i.indexrelid::regclass::text, i.indrelid::regclass::text, \
  pg_catalog.pg_get_indexdef(i.indexrelid, 1, false), pg_catalog.format_type(a.atttypid, a.atttypmod), \
  pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname), pg_catalog.pg_get_expr(i.indpred, i.indrelid), \
  t.reltuples::float8, m.amname::text \
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' \
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam \
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = 1 \
JOIN pg_catalog.pg_opclass s ON s.oid = i.indclass[0] \
JOIN pg_catalog.pg_amop p ON p.amopfamily = s.opcfamily AND p.amoppurpose = 'o' AND p.amopstrategy = 1 \
JOIN pg_catalog.pg_operator o ON o.oid = p.amopopr JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace \
WHERE m.amname IN ('hnsw', 'ivfflat') AND i.indisvalid ORDER BY 1";

/// The measurements of one index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Searched {
    /// The qualified name of the index.
    pub index: String,
    /// The qualified name of the table.
    pub table: String,
    /// Rows of the table, as estimated by the planner.
    pub rows: u64,
    /// Searches that were compared with exact answers.
    pub compared: u64,
    /// The share of the ten true neighbours that searches found, with the database's settings; 1
    /// for an empty table.
    pub recall: f64,
    /// The same with the widest search of pgvector; measured only if `recall` is below the
    /// expectation.
    pub widest_recall: Option<f64>,
    /// The 95th percentile of the time of a search, in microseconds, with the database's settings.
    pub p95_usec: u64,
}

impl Searched {
    /// Returns the better recall of the two.
    pub fn best(&self) -> f64 {
        self.widest_recall.unwrap_or(self.recall).max(self.recall)
    }
}

/// An index, as [`INDEXES`] describes it.
struct Index {
    name: String,
    table: String,
    expression: String,
    of_type: String,
    operator: String,
    predicate: Option<String>,
    rows: f64,
    method: String,
}

/// Measures every vector index of the database. If the recall is below `expected`, measures it
/// again with the widest search.
///
/// The database must be analysed (ANALYZE). This writes nothing.
///
/// # Errors
/// Data (65) when the planner does not use an index for its search; errors of the server.
pub fn probe(control: &Control, expected: f64) -> Result<Vec<Searched>> {
    let rows = control.rows("listing vector indexes", INDEXES, &[])?;
    let indexes = rows.iter().filter_map(|row| {
        Some(Index {
            name: row.get(0),
            table: row.get(1),
            // NULL if the index was dropped in the meantime.
            expression: row.get::<_, Option<_>>(2)?,
            of_type: row.get(3),
            operator: row.get(4),
            predicate: row.get(5),
            rows: row.get::<_, f64>(6).max(0.0),
            method: row.get(7),
        })
    });
    indexes.map(|index| index.probe(control, expected)).collect()
}

impl Index {
    fn probe(&self, control: &Control, expected: f64) -> Result<Searched> {
        let doing = format!("searching by index {}", self.name);
        let vectors = self.sample(control, &doing)?;
        let exact = self.exact(control, &doing, &vectors)?;
        let own = self.by_index(control, &doing, &vectors, &exact, "")?;
        let mut widest_recall = None;
        if own.0 < expected {
            let widest = match self.method.as_str() {
                "hnsw" => "SET LOCAL hnsw.ef_search = 1000; ",
                _ => "SET LOCAL ivfflat.probes = 32768; ",
            };
            widest_recall = Some(self.by_index(control, &doing, &vectors, &exact, widest)?.0);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of rows")]
        Ok(Searched {
            index: self.name.clone(),
            table: self.table.clone(),
            rows: self.rows as u64,
            compared: exact.len() as u64,
            recall: own.0,
            widest_recall,
            p95_usec: own.1,
        })
    }

    fn condition(&self) -> String {
        let predicate =
            self.predicate.as_ref().map_or(String::new(), |predicate| format!(" AND ({predicate})"));
        format!("WHERE ({}) IS NOT NULL{predicate}", self.expression)
    }

    /// Returns vectors of the table as text: from blocks chosen by a seed, or the first ones if
    /// those are too few.
    fn sample(&self, control: &Control, doing: &str) -> Result<Vec<String>> {
        let (expression, table, condition) = (&self.expression, &self.table, self.condition());
        let ask = |from: String| -> Result<Vec<String>> {
            let sql = format!("SELECT ({expression})::text FROM {from} {condition} LIMIT {SEARCHES}");
            Ok(control.rows(doing, &sql, &[])?.iter().map(|row| row.get(0)).collect())
        };
        let percent = (f64::from(SEARCHES) * 1000.0 / self.rows.max(1.0)).min(100.0);
        let sampled = ask(format!("{table} TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1)"))?;
        if sampled.len() == usize::from(SEARCHES) { Ok(sampled) } else { ask(table.clone()) }
    }

    /// Returns the true distances of the nearest neighbours, in order, for the first of `vectors`.
    fn exact(&self, control: &Control, doing: &str, vectors: &[String]) -> Result<Vec<Vec<f64>>> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let affordable = (DISTANCES / self.rows.max(1.0)).clamp(0.0, f64::from(SEARCHES)) as usize;
        let by_table = "SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; ";
        let vectors = vectors.iter().take(affordable.max(LEAST));
        let answers =
            vectors.map(|vector| self.search(control, doing, vector, by_table).map(|(found, _)| found));
        answers.collect()
    }

    /// Returns the recall and p95 of searches by the index.
    fn by_index(
        &self,
        control: &Control,
        doing: &str,
        vectors: &[String],
        exact: &[Vec<f64>],
        settings: &str,
    ) -> Result<(f64, u64)> {
        let settings = format!("{settings}SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; ");
        let Some(first) = vectors.first() else { return Ok((1.0, 0)) };
        self.require_use(control, doing, first, &settings)?;
        let mut times = Vec::new();
        let (mut hits, mut of) = (0, 0);
        for (place, vector) in vectors.iter().enumerate() {
            let (found, usec) = self.search(control, doing, vector, &settings)?;
            times.push(usec);
            if let Some(true_distances) = exact.get(place) {
                hits += hits_among(&found, true_distances);
                of += true_distances.len();
            }
        }
        times.sort_unstable();
        let p95 = times[(times.len() * 95).div_ceil(100) - 1];
        #[allow(clippy::cast_precision_loss, reason = "at most a few hundred")]
        let recall = if of == 0 { 1.0 } else { hits as f64 / of as f64 };
        Ok((recall, p95))
    }

    /// Returns the distances of the nearest neighbours, in order, and the microseconds that the
    /// search took.
    fn search(
        &self,
        control: &Control,
        doing: &str,
        vector: &str,
        settings: &str,
    ) -> Result<(Vec<f64>, u64)> {
        control.run(doing, &format!("BEGIN READ ONLY; {settings}"))?;
        let began = Instant::now();
        let rows = control.rows(doing, &self.query(vector), &[])?;
        let usec = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        control.run(doing, "ROLLBACK")?;
        Ok((rows.iter().map(|row| row.get(0)).collect(), usec))
    }

    /// Returns the query, with the vector as a constant as programs write it: the planner's choice
    /// depends on it.
    fn query(&self, vector: &str) -> String {
        let Self { table, expression, of_type, operator, .. } = self;
        let distance = format!("({expression}) {operator} {}::{of_type}", quote::literal(vector));
        let condition = self.condition();
        format!("SELECT ({distance})::float8 FROM {table} {condition} ORDER BY {distance} LIMIT {NEIGHBOURS}")
    }

    fn require_use(&self, control: &Control, doing: &str, vector: &str, settings: &str) -> Result<()> {
        control.run(doing, &format!("BEGIN READ ONLY; {settings}"))?;
        let plan = control.rows(doing, &format!("EXPLAIN (COSTS off) {}", self.query(vector)), &[])?;
        control.run(doing, "ROLLBACK")?;
        if plan.iter().any(|row| row.get::<_, &str>(0).contains("Index Scan using")) {
            return Ok(());
        }
        Err(Failure::new(Exit::Data, doing).because("the planner does not use the index for its search"))
    }
}

/// Returns how many of `found` are as near as the true neighbours. Others at the same distance
/// count too.
fn hits_among(found: &[f64], true_distances: &[f64]) -> usize {
    let Some(farthest) = true_distances.last() else { return 0 };
    let reach = farthest + farthest.abs().max(1.0) * TOLERANCE;
    found.iter().filter(|distance| **distance <= reach).count().min(true_distances.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_as_near_as_the_true_ones_is_a_hit() {
        let exact = [0.0, 0.1, 0.2];
        assert_eq!(hits_among(&[0.0, 0.1, 0.2], &exact), 3);
        assert_eq!(hits_among(&[0.0, 0.2, 0.200_000_1], &exact), 3);
        assert_eq!(hits_among(&[0.0, 0.3, 0.4], &exact), 1);
        assert_eq!(hits_among(&[], &exact), 0);
        assert_eq!(hits_among(&[0.0; 10], &[]), 0);
    }
}
