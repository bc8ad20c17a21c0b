//! Checks that constraints and indexes are valid, and checks each B-tree and GIN index with amcheck (PostgreSQL manual,
//! "amcheck").

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::printable;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;
use nexus_restoring::Restoring;

/// The schema for amcheck's functions if the set has none.
const SCHEMA: &str = "nexus_restore_test";

/// Lists invalid indexes, except those of partitioned tables, which may have been invalid in the backup.
const INVALID: &str = "\
SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND c.relkind = 'i' ORDER BY 1";

/// Counts the constraints, and lists those that are NOT VALID.
const CONSTRAINTS: &str = "\
SELECT count(*), (SELECT array_agg(format('%I on %s', conname, conrelid::regclass) ORDER BY conname) \
  FROM pg_constraint WHERE NOT convalidated) \
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace \
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// Lists each index with its access method, except those of temporary tables: bt_index_check() refuses those of other sessions.
const INDEXES: &str = "\
SELECT i.indexrelid::regclass::text, a.amname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
JOIN pg_am a ON a.oid = c.relam JOIN pg_namespace n ON n.oid = c.relnamespace \
WHERE c.relkind = 'i' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
ORDER BY c.relpages DESC, 1";

/// How many constraints and indexes were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) constraints: u64,
    pub(crate) indexes: u64,
    /// Indexes that amcheck found whole.
    pub(crate) by_amcheck: u64,
}

/// Refuses an invalid index, and notes constraints that are NOT VALID. Returns the number of constraints.
///
/// # Errors
/// Data (65) if an index is invalid.
pub(crate) fn validity(making: &mut Restoring<'_>, control: &Control) -> Result<u64> {
    let doing = "checking that constraints and indexes are valid";
    if let Some(row) = control.rows(doing, INVALID, &[])?.first() {
        let index: &str = row.get(0);
        return Err(Failure::new(Exit::Data, doing).because(format!("index {} is invalid", printable(index))));
    }
    let row = control.row(doing, CONSTRAINTS, &[])?;
    for constraint in row.get::<_, Option<Vec<String>>>(1).unwrap_or_default() {
        making.note(format!("constraint {} is NOT VALID, as in the backup", printable(&constraint)));
    }
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// Checks every index with an access method that amcheck knows. A B-tree must also hold each row of its table.
///
/// # Errors
/// Data (65) if an index is corrupt.
pub(crate) fn amcheck(making: &mut Restoring<'_>, control: &Control, constraints: u64) -> Result<Checked> {
    let doing = "checking the indexes with amcheck";
    let indexes = control.rows(doing, INDEXES, &[])?;
    let mut checked = Checked { constraints, indexes: indexes.len() as u64, by_amcheck: 0 };
    let Some(schema) = schema_of_amcheck(making, control)? else { return Ok(checked) };
    let knows_gin = control
        .row(doing, "SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'gin_index_check')", &[])?
        .get::<_, bool>(0);
    let schema = quote::identifier(&schema);
    for row in indexes {
        let (index, method): (&str, &str) = (row.get(0), row.get(1));
        let call = match method {
            "btree" => format!("SELECT {schema}.bt_index_check({}::regclass, true)", quote::literal(index)),
            "gin" if knows_gin => {
                format!("SELECT {schema}.gin_index_check({}::regclass)", quote::literal(index))
            }
            _ => continue,
        };
        making.progress.doing(format!("checking index {}", printable(index)));
        control.try_run(&call)?.map_err(|error| {
            let failure = from_client(format!("checking index {}", printable(index)), &error);
            // data_corrupted, index_corrupted
            let corrupt = error.code().is_some_and(|code| matches!(code.code(), "XX001" | "XX002"));
            if corrupt { Failure::new(Exit::Data, failure.to_string()) } else { failure }
        })?;
        checked.by_amcheck += 1;
    }
    Ok(checked)
}

/// Finds or creates amcheck's functions and returns their schema; `None` on a server without amcheck.
fn schema_of_amcheck(making: &mut Restoring<'_>, control: &Control) -> Result<Option<String>> {
    let doing = "looking for amcheck";
    let there = "SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
        WHERE e.extname = 'amcheck'";
    if let Some(row) = control.rows(doing, there, &[])?.first() {
        return Ok(Some(row.get(0)));
    }
    let offered = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck')";
    if !control.row(doing, offered, &[])?.get::<_, bool>(0) {
        making.note("the server has no amcheck: indexes were only checked to be valid".to_owned());
        return Ok(None);
    }
    control.run(doing, &format!("CREATE SCHEMA {SCHEMA}; CREATE EXTENSION amcheck SCHEMA {SCHEMA}"))?;
    Ok(Some(SCHEMA.to_owned()))
}
