//! Writing indexes anew, while others use the table. VACUUM takes entries out of an index, but a word of a full-text index
//! stays in it when no row has it any more (GIN never deletes a key), and pages keep bytes of what was taken out of them.
//!
//! Of an HNSW index pgvector's VACUUM overwrites the vectors, and rewriting it is the dearest of all: it is left alone, unless
//! so much went that VACUUM takes longer: of each row that has lost one of its 32 neighbours it looks for new ones, which is as
//! much work as to insert it, and where a tenth of the rows went that is nearly every row (pgvector's README, "Vacuuming").

use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_ledger::forgetting::Table;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;

use crate::cleaning::is_superuser;

/// How long it waits for those who began to use the table before it; the next run tries again. One process: the others would
/// be taken from those who search.
const PATIENTLY: &str =
    "SET lock_timeout = '60s'; SET max_parallel_maintenance_workers = 0; RESET maintenance_work_mem";

/// Percent of the table of which it is less work to write a vector index anew than to repair it.
const MANY: u64 = 10;

/// Which indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// HNSW.
    Graphs,
    /// All others.
    Others,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reindexed {
    /// Indexes that were written anew.
    pub(crate) indexes: u64,
    /// Why others were not.
    pub(crate) notes: Vec<String>,
}

/// Whether `rows` of `of` that went are so many that a graph is better written anew.
pub(crate) fn are_many(rows: u64, of: u64) -> bool {
    rows > 0 && rows * 100 >= of * MANY
}

/// Writes the indexes of the table anew.
///
/// # Errors
/// When stopped, or the connection breaks. An index that could not be written stays as it was, and a note says why.
pub(crate) fn reindex(
    control: &Control,
    table: &Table,
    which: Which,
    progress: &Progress,
) -> Result<Reindexed> {
    let doing = format!("writing the indexes of {table} anew");
    control.run(&doing, PATIENTLY)?;
    sweep(control, table, &doing)?;
    let mut reindexed = Reindexed::default();
    for name in names(control, table, which, &doing)? {
        let doing = format!("writing index {name} anew");
        progress.doing(&doing);
        if which == Which::Graphs {
            give_room_to_a_graph(control, &name, &doing)?;
        }
        let sql = format!("REINDEX INDEX CONCURRENTLY {name}");
        match control.try_run_while(&sql, || progress.advance(0))? {
            Ok(()) => reindexed.indexes += 1,
            Err(error) if error.as_db_error().is_none() => return Err(from_client(doing, &error)),
            Err(error) => {
                let why = from_client(doing, &error);
                reindexed.notes.push(format!("{why}: words of what was forgotten may be left in it"));
                sweep(control, table, "removing what is left of it")?;
            }
        }
    }
    Ok(reindexed)
}

/// For this session as much memory as the graph of `index` needs, which is about half as much again as on disk: one that fits is
/// built many times as fast as one that does not. It may take what the server counts on as the kernel's cache
/// (`effective_cache_size` has `shared_buffers` in it; nexus-setup sizes both), if no more than half of what is free now.
fn give_room_to_a_graph(control: &Control, index: &str, doing: &str) -> Result<()> {
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

/// Removes what was left of an index that was being written anew when its run was killed (PostgreSQL manual, REINDEX,
/// "Rebuilding Indexes Concurrently").
fn sweep(control: &Control, table: &Table, doing: &str) -> Result<()> {
    let left = format!("NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' AND {}", of_table(table));
    for name in list(control, &left, doing)? {
        control.run(doing, &format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"))?;
    }
    Ok(())
}

fn names(control: &Control, table: &Table, which: Which, doing: &str) -> Result<Vec<String>> {
    let which = match which {
        Which::Graphs => "m.amname = 'hnsw'",
        Which::Others => "m.amname <> 'hnsw'",
    };
    // Those of an exclusion constraint cannot be written anew beside others.
    let wanted = format!("i.indisvalid AND NOT i.indisexclusion AND {which} AND {}", of_table(table));
    list(control, &wanted, doing)
}

fn of_table(table: &Table) -> String {
    format!(
        "i.indrelid IN (SELECT {oid}::oid UNION SELECT relid::oid FROM pg_catalog.pg_partition_tree({oid}))",
        oid = table.oid()
    )
}

/// Their names, quoted and qualified, the smallest first.
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
