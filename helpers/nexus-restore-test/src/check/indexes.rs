//! Constraints and indexes: all valid, and each B-tree and GIN index whole by amcheck (PostgreSQL manual, "amcheck").

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::printable;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;
use nexus_restoring::Restoring;

/// Schema for amcheck's functions where the set has not got them.
const SCHEMA: &str = "nexus_restore_test";

/// Of all user schemas. An index of a partitioned table may be invalid as it was when it was backed up.
const INVALID: &str = "\
SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND c.relkind = 'i' ORDER BY 1";

/// Constraints, and those that were not valid when they were backed up (NOT VALID) or else could not be compared.
const CONSTRAINTS: &str = "\
SELECT count(*), (SELECT array_agg(format('%I on %s', conname, conrelid::regclass) ORDER BY conname) \
  FROM pg_constraint WHERE NOT convalidated) \
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace \
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// Each index with its access method. bt_index_check() takes no index of another session's temporary table.
const INDEXES: &str = "\
SELECT i.indexrelid::regclass::text, a.amname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
JOIN pg_am a ON a.oid = c.relam JOIN pg_namespace n ON n.oid = c.relnamespace \
WHERE c.relkind = 'i' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
ORDER BY c.relpages DESC, 1";

/// How many were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) constraints: u64,
    pub(crate) indexes: u64,
    /// Of the indexes, those that amcheck has found whole.
    pub(crate) by_amcheck: u64,
}

/// Refuses what is not valid.
///
/// # Errors
/// Data (65) naming the index.
pub(crate) fn validity(making: &mut Restoring<'_>, control: &Control) -> Result<u64> {
    let doing = "checking that constraints and indexes are valid";
    if let Some(row) = control.rows(doing, INVALID, &[])?.first() {
        let index: &str = row.get(0);
        return Err(Failure::new(Exit::Data, doing).because(format!("index {} is invalid", printable(index))));
    }
    let row = control.row(doing, CONSTRAINTS, &[])?;
    for constraint in row.get::<_, Option<Vec<String>>>(1).unwrap_or_default() {
        making.note(format!(
            "constraint {} is NOT VALID, as it was when it was backed up",
            printable(&constraint)
        ));
    }
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// Checks every index whose access method amcheck knows, that each row of its table is in it included.
///
/// # Errors
/// Data (65) naming the index that is corrupt.
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

/// Where amcheck's functions are; nothing on a server without amcheck.
fn schema_of_amcheck(making: &mut Restoring<'_>, control: &Control) -> Result<Option<String>> {
    let doing = "looking for amcheck";
    let there = "SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
        WHERE e.extname = 'amcheck'";
    if let Some(row) = control.rows(doing, there, &[])?.first() {
        return Ok(Some(row.get(0)));
    }
    let offered = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck')";
    if !control.row(doing, offered, &[])?.get::<_, bool>(0) {
        making.note("the server has no amcheck: indexes were only checked for being valid".to_owned());
        return Ok(None);
    }
    control.run(doing, &format!("CREATE SCHEMA {SCHEMA}; CREATE EXTENSION amcheck SCHEMA {SCHEMA}"))?;
    Ok(Some(SCHEMA.to_owned()))
}
