//! What a purge requires: VACUUM is safe for the table's indexes.

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_ledger::forgetting::Table;
use nexus_postgres::blocking::Control;
use nexus_postgres::pgvector::is_safe;

use crate::args::{Args, YesNo};

/// Refuses a pgvector whose VACUUM can damage an HNSW index of the table.
///
/// # Errors
/// Unavailable (69).
pub(crate) fn refuse_unsafe_vacuum(control: &Control, table: &Table, args: &Args) -> Result<()> {
    let doing = format!("checking the vector indexes of {table}");
    let rows = control.rows(
        &doing,
        &format!(
            "SELECT (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'vector') \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             JOIN pg_catalog.pg_am m ON m.oid = c.relam WHERE m.amname = 'hnsw' AND i.indrelid IN \
             (SELECT {oid}::oid UNION SELECT relid::oid FROM pg_catalog.pg_partition_tree({oid})) LIMIT 1",
            oid = table.oid()
        ),
        &[],
    )?;
    let Some(version) = rows.first().and_then(|row| row.get::<_, Option<String>>(0)) else { return Ok(()) };
    if is_safe(&version) || args.old_pgvector == YesNo::Yes {
        return Ok(());
    }
    Err(Failure::new(Exit::Unavailable, doing)
        .because(format!("pgvector is {version}; before 0.8.4 VACUUM can damage an HNSW index during writes"))
        .advise(
            "Use an image with a newer pgvector, then run ALTER EXTENSION vector UPDATE in the database; or, if no program writes \
             now, give --old-pgvector",
        ))
}
