//! Rows of other tables that refer to the ones that are to go (PostgreSQL manual, "Foreign Keys").
//!
//! ON DELETE CASCADE, SET NULL and SET DEFAULT are the table's own rule, and the server follows it. NO ACTION and RESTRICT
//! forbid the deletion: then nothing is deleted at all, unless the settings say that such rows go too.

use crate::failure::{Exit, Failure, Result};
use crate::forgetting::Table;
use crate::postgres::blocking::Control;
use crate::postgres::quote;

/// What becomes of rows that refer to a row that goes, where their foreign key forbids that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReference {
    /// Nothing is deleted.
    Stop,
    /// They go first.
    Cascade,
}

/// A foreign key that forbids.
#[derive(Clone, Debug)]
pub(super) struct Forbidding {
    /// Quoted and qualified.
    table: String,
    /// Columns there, quoted, and the columns they refer to.
    pairs: Vec<(String, String)>,
}

impl Forbidding {
    /// Deletes what refers to the rows of `heap` to which `condition` applies.
    pub(super) fn delete(&self, heap: &str, condition: &str) -> String {
        let columns: Vec<&str> = self.pairs.iter().map(|(column, _)| column.as_str()).collect();
        let referred: Vec<&str> = self.pairs.iter().map(|(_, referred)| referred.as_str()).collect();
        format!(
            "DELETE FROM {} WHERE ({}) IN (SELECT {} FROM ONLY {heap} WHERE {condition})",
            self.table,
            columns.join(", "),
            referred.join(", ")
        )
    }

    fn exists(&self, table: &Table, condition: &str) -> String {
        let joined: Vec<String> =
            self.pairs.iter().map(|(column, referred)| format!("other.{column} = mine.{referred}")).collect();
        format!(
            "SELECT EXISTS (SELECT FROM {} other WHERE EXISTS (SELECT FROM (SELECT * FROM {} WHERE {condition}) mine WHERE {}))",
            self.table,
            table.qualified(),
            joined.join(" AND ")
        )
    }
}

/// Refuses when rows refer to one that is to go, their foreign key forbids it, and so do the settings.
///
/// # Errors
/// Data (65) naming the table that refers; else the server's.
pub fn check(session: &Control, table: &Table, condition: &str, on: OnReference) -> Result<()> {
    if on == OnReference::Cascade {
        return Ok(());
    }
    for key in forbidding(session, table)? {
        if session.row("looking for rows that refer to those", &key.exists(table, condition), &[])?.get(0) {
            return Err(referred(table, &key.table));
        }
    }
    Ok(())
}

/// The failure when rows of `other` refer to rows of `table` that are to go.
pub(super) fn referred(table: &Table, other: &str) -> Failure {
    Failure::new(Exit::Data, format!("deleting rows of {table}"))
        .because(format!(
            "rows of {other} refer to them, and their foreign key forbids it; nothing was deleted"
        ))
        .advise("Give that foreign key ON DELETE CASCADE or SET NULL, or set NEXUS_PURGE_REFERRING=cascade")
}

/// The foreign keys that forbid.
pub(super) fn forbidding(session: &Control, table: &Table) -> Result<Vec<Forbidding>> {
    let rows = session.rows(
        "reading who refers to the table",
        &format!(
            "SELECT n.nspname::text, c.relname::text, \
             ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(f.conkey) WITH ORDINALITY k(n, o) \
               JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.n ORDER BY k.o), \
             ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(f.confkey) WITH ORDINALITY k(n, o) \
               JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.n ORDER BY k.o) \
             FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class c ON c.oid = f.conrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE f.contype = 'f' AND f.confrelid = {} AND f.confdeltype IN ('a', 'r') AND f.conparentid = 0 ORDER BY 1, 2",
            table.oid()
        ),
        &[],
    )?;
    let quoted = |names: Vec<String>| names.into_iter().map(|name| quote::identifier(&name));
    Ok(rows
        .iter()
        .map(|row| Forbidding {
            table: quote::qualified(row.get(0), row.get(1)),
            pairs: quoted(row.get(2)).zip(quoted(row.get(3))).collect(),
        })
        .collect())
}
