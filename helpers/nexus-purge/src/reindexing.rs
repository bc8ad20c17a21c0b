//! Rebuilds indexes while other sessions use the table. VACUUM removes entries from an index, but its pages keep their
//! bytes, and a GIN index never deletes a key, so a word stays in it after its last row is gone.
//!
//! An HNSW index is the slowest to rebuild, and pgvector's VACUUM overwrites its vectors, so it is rebuilt only if VACUUM
//! would take longer. VACUUM searches new neighbours for each row that lost one of its 32, which costs as much as an insert;
//! after a tenth of the rows is deleted, that is nearly every row (pgvector's README, "Vacuuming").

use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_ledger::forgetting::Table;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;

use crate::cleaning::is_superuser;

/// How long it waits for transactions that used the table before it; the next run tries again. It uses one process, because
/// parallel workers would take processors from searches.
const SETTINGS: &str =
    "SET lock_timeout = '60s'; SET max_parallel_maintenance_workers = 0; RESET maintenance_work_mem";

/// The percentage of deleted rows from which it is faster to rebuild a vector index than to repair it.
const REBUILD_PERCENT: u64 = 10;

/// A kind of index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexKind {
    /// HNSW indexes.
    Hnsw,
    /// All other indexes.
    Other,
}

/// What a rebuild has done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reindexed {
    /// Indexes that were rebuilt.
    pub(crate) indexes: u64,
    /// Why others were not.
    pub(crate) notes: Vec<String>,
}

/// Returns whether it is better to rebuild a vector index after `rows` of `total` rows were deleted.
pub(crate) fn are_many(rows: u64, total: u64) -> bool {
    rows > 0 && rows * 100 >= total * REBUILD_PERCENT
}

/// Rebuilds the indexes of the table. An index that cannot be rebuilt stays as it was, and a note says why.
///
/// # Errors
/// When stopped, or the connection breaks.
pub(crate) fn reindex(
    control: &Control,
    table: &Table,
    kind: IndexKind,
    progress: &Progress,
) -> Result<Reindexed> {
    let doing = format!("rebuilding the indexes of {table}");
    control.run(&doing, SETTINGS)?;
    drop_unfinished(control, table, &doing)?;
    let mut reindexed = Reindexed::default();
    for name in names(control, table, kind, &doing)? {
        let doing = format!("rebuilding index {name}");
        progress.doing(&doing);
        if kind == IndexKind::Hnsw {
            raise_build_memory(control, &name, &doing)?;
        }
        let sql = format!("REINDEX INDEX CONCURRENTLY {name}");
        match control.try_run_while(&sql, || progress.advance(0))? {
            Ok(()) => reindexed.indexes += 1,
            Err(error) if error.as_db_error().is_none() => return Err(from_client(doing, &error)),
            Err(error) => {
                let why = from_client(doing, &error);
                reindexed.notes.push(format!("{why}: the index may still hold words of forgotten episodes"));
                drop_unfinished(control, table, "dropping the unfinished index")?;
            }
        }
    }
    Ok(reindexed)
}

/// Sets `maintenance_work_mem` of this session to what the graph of `index` needs: about 1.5 times its size on disk. A graph
/// that fits into it builds many times as fast. It may use the memory that the server assumes to be the kernel's cache
/// (`effective_cache_size` without `shared_buffers`; nexus-setup sizes both), but at most half of what is available now.
fn raise_build_memory(control: &Control, index: &str, doing: &str) -> Result<()> {
    let free = if is_superuser(control)? {
        "(substring(pg_catalog.pg_read_file('/proc/meminfo') FROM 'MemAvailable: +([0-9]+) kB'))::bigint * 512"
    } else {
        "NULL"
    };
    let of = |setting: &str| format!("pg_catalog.pg_size_bytes(pg_catalog.current_setting('{setting}'))");
    let sql = format!(
        "SELECT pg_catalog.set_config('maintenance_work_mem', greatest({}, least({free}, {} - {}, \
         pg_catalog.pg_relation_size($1::text::regclass) * 3 / 2)) / 1024 || 'kB', false)",
        of("maintenance_work_mem"),
        of("effective_cache_size"),
        of("shared_buffers"),
    );
    control.row(doing, &sql, &[&index])?;
    Ok(())
}

/// Drops the invalid indexes that a failed or killed rebuild has left (PostgreSQL manual, REINDEX, "Rebuilding Indexes
/// Concurrently").
fn drop_unfinished(control: &Control, table: &Table, doing: &str) -> Result<()> {
    let unfinished =
        format!("NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' AND {}", of_table(table));
    for name in list(control, &unfinished, doing)? {
        control.run(doing, &format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"))?;
    }
    Ok(())
}

fn names(control: &Control, table: &Table, kind: IndexKind, doing: &str) -> Result<Vec<String>> {
    let is_of_kind = match kind {
        IndexKind::Hnsw => "m.amname = 'hnsw'",
        IndexKind::Other => "m.amname <> 'hnsw'",
    };
    // REINDEX CONCURRENTLY cannot rebuild the index of an exclusion constraint.
    let wanted = format!("i.indisvalid AND NOT i.indisexclusion AND {is_of_kind} AND {}", of_table(table));
    list(control, &wanted, doing)
}

fn of_table(table: &Table) -> String {
    format!(
        "i.indrelid IN (SELECT {oid}::oid UNION SELECT relid::oid FROM pg_catalog.pg_partition_tree({oid}))",
        oid = table.oid()
    )
}

/// Returns the quoted and qualified names of the indexes, the smallest first.
fn list(control: &Control, condition: &str, doing: &str) -> Result<Vec<String>> {
    let rows = control.rows(
        doing,
        &format!(
            "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_index i \
             JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'i' AND {condition} \
             ORDER BY pg_catalog.pg_relation_size(c.oid), 1, 2"
        ),
        &[],
    )?;
    Ok(rows.iter().map(|row| quote::qualified(row.get(0), row.get(1))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_many_and_nothing_is_not() {
        assert!(are_many(100, 1000) && are_many(5, 5));
        assert!(!are_many(99, 1000) && !are_many(0, 0) && !are_many(0, 10));
    }
}
