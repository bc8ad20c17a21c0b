//! Measures the recall of the vector index before and after the purge: runs the same searches with and without the index.
//! An index that VACUUM has damaged loses neighbours without an error (pgvector#988, #993).

use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_ledger::forgetting::{Table, is_schema_trusted};
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;

/// The neighbours that each search returns.
const NEIGHBOURS: usize = 10;

/// The most rows that all searches together compare without the index; it limits the time.
const MOST_COMPARISONS: u64 = 2_000_000;

/// The largest difference between two equal distances, due to rounding.
const ROUNDING: f64 = 1e-9;

/// The percentage points that recall may fall by; searches differ a little by chance.
const TOLERANCE: f64 = 5.0;

/// Repeatable searches.
pub(crate) struct Probe {
    column: String,
    operator: String,
    /// The keys of the rows whose neighbours it searches for.
    keys: Vec<String>,
}

/// Chooses searches among the rows that stay; `None` if there is no HNSW index, or if its operator is in a schema where another role
/// could put one of its own.
pub(crate) fn choose(control: &Control, table: &Table, goes: &str, rows: u64) -> Result<Option<Probe>> {
    let doing = "choosing searches to probe the vector index";
    let found = control.rows(
        doing,
        &format!(
            "SELECT a.attname::text, n.nspname::text, o.oprname::text FROM pg_catalog.pg_index i \
             JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'hnsw' \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
             JOIN pg_catalog.pg_opclass k ON k.oid = i.indclass[0] \
             JOIN pg_catalog.pg_amop p ON p.amopfamily = k.opcfamily AND p.amopstrategy = 1 AND p.amoppurpose = 'o' \
             JOIN pg_catalog.pg_operator o ON o.oid = p.amopopr JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace \
             WHERE i.indrelid = {} AND i.indisvalid AND i.indpred IS NULL AND {} LIMIT 1",
            table.oid(),
            is_schema_trusted()
        ),
        &[],
    )?;
    let Some(row) = found.first() else { return Ok(None) };
    let column = quote::identifier(row.get(0));
    let operator = format!("OPERATOR({}.{})", quote::identifier(row.get(1)), row.get::<_, String>(2));
    let searches = (MOST_COMPARISONS / rows.max(1)).clamp(3, 20);
    // ORDER BY random() reads every row, so a large table needs a sample of its pages.
    let sample = if rows > 20_000 { "TABLESAMPLE SYSTEM (1)" } else { "" };
    let sql = format!(
        "SELECT {} FROM {} {sample} WHERE {column} IS NOT NULL AND NOT ({goes}) ORDER BY random() LIMIT {searches}",
        table.key_text(),
        table.qualified()
    );
    let keys = control.rows(doing, &sql, &[])?.iter().map(|row| row.get(0)).collect();
    Ok(Some(Probe { column, operator, keys }))
}

impl Probe {
    /// Returns the recall among the rows that stay, in percent; `None` if no row is left to search for.
    pub(crate) fn recall(
        &self,
        control: &Control,
        table: &Table,
        goes: &str,
        progress: &Progress,
    ) -> Result<Option<f64>> {
        let doing = "probing the vector index";
        progress.doing(doing);
        let (mut found, mut expected) = (0, 0);
        for key in &self.keys {
            progress.advance(0);
            let exact = self.search(control, table, goes, key, "SET LOCAL enable_indexscan = off", doing)?;
            let indexed = self.search(
                control,
                table,
                goes,
                key,
                // Iterative, because the filter drops rows and ten others must remain.
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL hnsw.ef_search = 100; \
                 SET LOCAL hnsw.iterative_scan = 'strict_order'",
                doing,
            )?;
            // Another session may have deleted the row.
            let (Some(exact), Some(indexed)) = (exact, indexed) else { continue };
            // Compares distances, not keys: any of several equally near rows counts.
            let farthest = exact.iter().copied().fold(0.0, f64::max) + ROUNDING;
            expected += exact.len();
            found += indexed.iter().filter(|distance| **distance <= farthest).count().min(exact.len());
        }
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let recall = (expected > 0).then(|| found as f64 * 100.0 / expected as f64);
        Ok(recall)
    }

    /// Returns the distances of the rows nearest to the row `key`; `None` if that row is gone.
    fn search(
        &self,
        control: &Control,
        table: &Table,
        goes: &str,
        key: &str,
        how: &str,
        doing: &str,
    ) -> Result<Option<Vec<f64>>> {
        let own = format!("{} = {}", table.key_text(), quote::literal(key));
        let by_key = format!("{} = ANY ({})", quote::identifier(&table.place().key), table.key_array(&[key]));
        control.run(doing, &format!("BEGIN; {how}"))?;
        let sql = format!(
            "SELECT ({column} {operator} (SELECT {column} FROM {table_name} WHERE {by_key}))::float8 \
             FROM {table_name} WHERE {column} IS NOT NULL AND NOT ({own}) AND NOT ({goes}) \
             ORDER BY {column} {operator} (SELECT {column} FROM {table_name} WHERE {by_key}) LIMIT {NEIGHBOURS}",
            operator = self.operator,
            table_name = table.qualified(),
            column = self.column
        );
        let rows = control.rows(doing, &sql, &[]);
        control.run(doing, "ROLLBACK")?;
        Ok(rows?.iter().map(|row| row.get(0)).collect())
    }
}

/// Returns the warning about an index that finds less than before.
pub(crate) fn warning(before: Option<f64>, after: Option<f64>) -> Option<String> {
    let (before, after) = (before?, after?);
    (after + TOLERANCE < before).then(|| {
        format!(
            "the vector index finds less than before: recall@{NEIGHBOURS} was {before:.0} % and is {after:.0} %. \
             Rebuild it: REINDEX INDEX CONCURRENTLY"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fall_beyond_the_tolerance_is_a_warning() {
        assert_eq!(warning(Some(98.0), Some(96.0)), None);
        assert_eq!(warning(None, Some(96.0)), None);
        assert!(warning(Some(98.0), Some(80.0)).is_some_and(|text| text.contains("was 98 % and is 80 %")));
    }
}
