//! Rows of other tables that refer to the rows to delete (PostgreSQL manual, "Foreign Keys").
//!
//! The server applies ON DELETE CASCADE, SET NULL and SET DEFAULT itself. NO ACTION and RESTRICT
//! forbid the deletion: then the owner chooses what happens to those rows
//! (`NEXUS_PURGE_REFERRING`). Further rows may refer to a row that is deleted, so this applies at
//! every level.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;

use crate::forgetting::Table;
use crate::forgetting::code_of_others::{self, parts};

/// What forgetting may do without asking.
#[derive(Args, Clone, Copy, Debug)]
pub struct Limits {
    /// Percent of a table that may be forgotten without asking, 1 to 100
    #[arg(long, env = "NEXUS_PURGE_MAX_SHARE", value_name = "PERCENT", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=100))]
    pub max_share: u64,

    /// What to do with rows of other tables that refer to a forgotten row, where their foreign key forbids its deletion
    #[arg(long, env = "NEXUS_PURGE_REFERRING", value_name = "WHAT", default_value = "stop")]
    pub referring: OnReference,
}

/// The most ways by which foreign keys may lead to the rows to delete. Each costs a query.
const MOST_PATHS: usize = 1000;

/// What to do with rows that refer to a row to delete, where their foreign key forbids the
/// deletion.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReference {
    /// Delete nothing, and name the table that refers
    Stop,
    /// Keep those rows without the reference; like stop if the column is NOT NULL
    SetNull,
    /// Delete those rows too
    Cascade,
}

/// Rows of other tables that were deleted or lost their reference, by table.
pub type Referring = BTreeMap<String, Touched>;

/// What happened to rows of one table that referred to deleted rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Rows that were deleted too.
    pub deleted: u64,
    /// Rows that were kept without the reference.
    pub emptied: u64,
}

/// Describes what happened to rows of other tables, one sentence per table, for people.
pub fn told(referring: &Referring) -> Vec<String> {
    let told = |(table, touched): (&String, &Touched)| {
        let Touched { deleted, emptied } = touched;
        format!(
            "rows of {table} that referred to forgotten rows: {deleted} deleted, {emptied} kept without the reference"
        )
    };
    referring.iter().map(told).collect()
}

/// A foreign key that leads, directly or through others, to the rows to delete.
#[derive(Clone, Debug)]
pub(super) struct ForeignKey {
    /// The referring table, quoted and qualified.
    pub(super) table: String,
    pub(super) is_partitioned: bool,
    pub(super) oid: u32,
    /// The OIDs of the referenced table and its partitions.
    pub(super) referred: Vec<u32>,
    /// The referring columns, quoted, and the columns that they reference.
    pub(super) pairs: Vec<(String, String)>,
    /// `confdeltype`
    pub(super) action: char,
    pub(super) may_be_null: bool,
    /// Whether the table is a work queue of NEXUS: the server deletes its rows, and the report
    /// omits them.
    pub(super) is_queue: bool,
}

/// What happens to a row that refers by a foreign key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is deleted.
    Deleted,
    /// Its reference is set to NULL.
    SetToNull,
    /// The server updates it.
    Updated,
    /// It forbids the deletion.
    Forbids,
}

impl ForeignKey {
    pub(super) fn fate(&self, on: OnReference) -> Fate {
        match (self.action, on) {
            ('c', _) | ('a' | 'r', OnReference::Cascade) => Fate::Deleted,
            ('a' | 'r', OnReference::SetNull) if self.may_be_null => Fate::SetToNull,
            ('a' | 'r', OnReference::Stop | OnReference::SetNull) => Fate::Forbids,
            _ => Fate::Updated,
        }
    }

    /// Returns whether it references the table or partition with this OID.
    pub(super) fn refers_to(&self, oid: u32) -> bool {
        self.referred.contains(&oid)
    }

    /// The table in SQL, without tables that inherit from it: the foreign key does not apply to
    /// their rows. Those of partitions it does apply to.
    pub(super) fn rows(&self) -> String {
        if self.is_partitioned { self.table.clone() } else { format!("ONLY {}", self.table) }
    }

    /// Returns `a = NULL` for each referring column.
    pub(super) fn emptied(&self) -> impl Iterator<Item = String> {
        self.pairs.iter().map(|(column, _)| format!("{column} = NULL"))
    }

    /// Returns the condition for rows that refer to those of `rows`, in SQL.
    pub(super) fn condition(&self, rows: &str) -> String {
        let columns: Vec<&str> = self.pairs.iter().map(|(column, _)| column.as_str()).collect();
        let referred: Vec<&str> = self.pairs.iter().map(|(_, referred)| referred.as_str()).collect();
        format!("({}) IN (SELECT {} FROM {rows})", columns.join(", "), referred.join(", "))
    }
}

/// Refuses if rows refer, directly or through others, to a row to delete, and both their foreign
/// key and the settings forbid that; or if deleting would run code of others.
///
/// # Errors
/// Data (65) with the name of the referring table or of the code; errors of the server.
pub fn check(session: &Control, table: &Table, condition: &str, on: OnReference) -> Result<()> {
    let doing = "looking for referring rows";
    session.run(doing, "BEGIN ISOLATION LEVEL READ COMMITTED")?;
    let checked = match code_of_others::hold_still(session, table) {
        Ok(Ok(keys)) => check_keys(session, table, condition, on, &keys),
        Ok(Err(error)) => Err(from_client(doing, &error)),
        Err(failure) => Err(failure),
    };
    // The session may be used again. If the connection is lost, the error above reports it.
    let _rolled_back = session.try_run("ROLLBACK")?;
    checked
}

fn check_keys(
    session: &Control,
    table: &Table,
    condition: &str,
    on: OnReference,
    keys: &[ForeignKey],
) -> Result<()> {
    // Each table with the keys that lead to it. A key is followed once per path.
    let mut pending = vec![(table.oid(), table.qualified(), condition.to_owned(), Vec::new())];
    let mut paths = 0;
    while let Some((oid, name, condition, followed)) = pending.pop() {
        paths += 1;
        if paths > MOST_PATHS {
            return Err(Failure::new(Exit::Data, format!("deleting rows of {table}"))
                .because(format!("foreign keys lead from {name} to itself in more than {MOST_PATHS} ways"))
                .advise("Drop keys of that table that say the same as another one"));
        }
        for (number, key) in keys.iter().enumerate() {
            if key.is_queue || !key.refers_to(oid) || followed.contains(&number) {
                continue;
            }
            let mut refer = key.condition(&format!("{name} WHERE {condition}"));
            if key.oid == oid {
                refer = format!("{refer} AND NOT coalesce(({condition}), false)");
            }
            match key.fate(on) {
                Fate::SetToNull | Fate::Updated => {}
                Fate::Forbids => {
                    let sql = format!("SELECT EXISTS (SELECT FROM {} WHERE {refer})", key.rows());
                    if session.row("looking for referring rows", &sql, &[])?.get(0) {
                        return Err(forbids(table, &key.table));
                    }
                }
                Fate::Deleted => {
                    let followed = followed.iter().copied().chain([number]).collect();
                    pending.push((key.oid, key.rows(), refer, followed));
                }
            }
        }
    }
    Ok(())
}

/// Returns the failure when rows of `other` refer to rows of `table` to delete.
pub(super) fn forbids(table: &Table, other: &str) -> Failure {
    Failure::new(Exit::Data, format!("deleting rows of {table}"))
        .because(format!(
            "rows of {other} refer to them, and their foreign key forbids it; nothing was deleted"
        ))
        .advise(
            "Give that foreign key ON DELETE CASCADE or SET NULL, or set NEXUS_PURGE_REFERRING=set-null (keeps them without \
             the reference, if their column may be NULL) or =cascade (deletes them too)",
        )
}

/// Returns the foreign keys by which rows refer to `table`, to the tables that refer to it, and so
/// on. A key to a partitioned table refers to the rows of each of its partitions.
pub(super) fn foreign_keys(session: &Control, table: &Table) -> Result<Vec<ForeignKey>> {
    let columns = |list: &str, relation: &str| {
        format!(
            "ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(f.{list}) WITH ORDINALITY k(n, o) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = f.{relation} AND a.attnum = k.n ORDER BY k.o)"
        )
    };
    let rows = session.rows(
        "listing the foreign keys to the table",
        &format!(
            "WITH RECURSIVE reached(relid) AS (SELECT {}::oid UNION SELECT more.relid FROM reached r, LATERAL \
               (SELECT f.conrelid FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.confrelid = r.relid \
                UNION ALL SELECT p.relid::oid FROM pg_catalog.pg_partition_tree(r.relid) p) more(relid)) \
             SELECT n.nspname::text, c.relname::text, {}, {}, f.confdeltype::text, c.oid, \
             ARRAY({}), \
             NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = f.conrelid AND a.attnum = ANY (f.conkey) \
               AND a.attnotnull), \
             f.confdeltype = 'c' AND n.nspname = {} AND NOT EXISTS \
               (SELECT FROM pg_catalog.pg_constraint g WHERE g.contype = 'f' AND g.confrelid = f.conrelid), \
             c.relkind = 'p' \
             FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class c ON c.oid = f.conrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confrelid IN \
               (SELECT relid FROM reached UNION SELECT a.relid::oid FROM reached, LATERAL pg_catalog.pg_partition_ancestors(reached.relid) a) \
             ORDER BY 1, 2, f.oid",
            table.oid(),
            columns("conkey", "conrelid"),
            columns("confkey", "confrelid"),
            parts("f.confrelid"),
            quote::literal(&table.place().schema),
        ),
        &[],
    )?;
    let quoted = |names: Vec<String>| names.into_iter().map(|name| quote::identifier(&name));
    Ok(rows
        .iter()
        .map(|row| ForeignKey {
            table: quote::qualified(row.get(0), row.get(1)),
            oid: row.get(5),
            referred: row.get(6),
            pairs: quoted(row.get(2)).zip(quoted(row.get(3))).collect(),
            action: row.get::<_, String>(4).chars().next().unwrap_or('a'),
            may_be_null: row.get(7),
            is_queue: row.get(8),
            is_partitioned: row.get(9),
        })
        .collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::forgetting) fn key(action: char, may_be_null: bool) -> ForeignKey {
        let pairs =
            vec![("\"a\"".to_owned(), "\"id\"".to_owned()), ("\"b\"".to_owned(), "\"at\"".to_owned())];
        ForeignKey {
            table: "t".to_owned(),
            is_partitioned: false,
            oid: 2,
            referred: vec![1],
            pairs,
            action,
            may_be_null,
            is_queue: false,
        }
    }

    #[test]
    fn the_setting_applies_only_to_keys_that_forbid_and_null_only_to_nullable_columns() {
        use OnReference::{Cascade, SetNull, Stop};
        for on in [Stop, SetNull, Cascade] {
            assert_eq!(key('c', true).fate(on), Fate::Deleted);
            assert_eq!(key('n', true).fate(on), Fate::Updated);
        }
        for action in ['a', 'r'] {
            assert_eq!(key(action, true).fate(Stop), Fate::Forbids);
            assert_eq!(key(action, true).fate(SetNull), Fate::SetToNull);
            assert_eq!(key(action, false).fate(SetNull), Fate::Forbids);
            assert_eq!(key(action, true).fate(Cascade), Fate::Deleted);
        }
    }

    #[test]
    fn every_column_of_a_key_is_compared_and_set_to_null() {
        let key = key('a', true);
        assert_eq!(key.condition("s.t WHERE x"), r#"("a", "b") IN (SELECT "id", "at" FROM s.t WHERE x)"#);
        assert_eq!(key.emptied().collect::<Vec<_>>(), [r#""a" = NULL"#, r#""b" = NULL"#]);
    }
}
