//! Compares the restored database with the backup: every row, sequence and large object.

use std::collections::{BTreeMap, HashMap};

use nexus_backup_set::manifest::{LARGE_OBJECT_QUERY, SequenceState, Table};
use nexus_backup_set::proof::TableDigest;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::{counted, printable};
use nexus_digest::{Digest, Hasher};
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;
use nexus_postgres::raw::{Copied, RawSession};
use serde::Serialize;

use crate::{Restoring, Tree, parallel, tree};

/// The most sequences in one query.
const SEQUENCES_AT_ONCE: usize = 100;

/// The numbers of compared and equal items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The number of tables.
    pub tables: u64,
    /// The rows of the tables.
    pub rows: u64,
    /// The bytes of their COPY streams.
    pub bytes: u64,
    /// The number of sequences.
    pub sequences: u64,
    /// The number of large objects.
    pub large_objects: u64,
    /// The contents of each table, in the order of the manifest.
    #[serde(skip)]
    pub digests: Vec<TableDigest>,
}

/// Compares everything that the manifest lists.
///
/// # Errors
/// Data (65) with the first difference.
pub fn all(restoring: &mut Restoring<'_>) -> Result<Compared> {
    let restoring = &*restoring;
    let tables: Vec<&Table> =
        restoring.manifest.tables.iter().filter(|table| !restoring.is_left_out(table)).collect();
    let by_itself = tables.iter().copied().filter(|table| tree_of(restoring, table).is_none()).collect();
    let found = parallel::each_table(
        restoring,
        by_itself,
        || Ok(()),
        |(), session, table| compare_table(restoring, session, table),
    )?;
    let mut differences: Vec<String> =
        found.iter().filter_map(|(_, difference)| difference.clone()).collect();
    for tree in &restoring.trees {
        differences.extend(tree::compare(restoring, tree)?);
    }
    refuse(&differences, "table")?;
    refuse(&compare_sequences(restoring)?, "sequence")?;
    let large_objects = compare_large_objects(restoring)?;
    let through = tables.iter().filter_map(|table| {
        let tree = tree_of(restoring, table)?;
        let (schema, name) = (table.schema.clone(), table.table.clone());
        let through = Some(tree.root.clone());
        Some(TableDigest { schema, table: name, rows: table.rows, sha256: table.sha256, through })
    });
    let digests = in_order(&tables, found.into_iter().map(|(digest, _)| digest).chain(through));
    Ok(Compared {
        tables: tables.len() as u64,
        rows: tables.iter().map(|table| table.rows).fold(0, u64::saturating_add),
        bytes: tables.iter().map(|table| table.bytes).fold(0, u64::saturating_add),
        sequences: restoring.manifest.sequences.len() as u64,
        large_objects,
        digests,
    })
}

fn refuse(differences: &[String], what: &str) -> Result<()> {
    let Some(first) = differences.first() else { return Ok(()) };
    let others = match differences.len() {
        1 => String::new(),
        more => format!(" (and {} more)", more - 1),
    };
    Err(Failure::new(Exit::Data, format!("comparing what was restored, {what} {first}{others}")).advise(
        "The restored copy is not what was backed up; the set may still be whole: please report this",
    ))
}

/// Returns the digest of a table, and its difference from the backup.
fn compare_table(
    restoring: &Restoring<'_>,
    session: &mut RawSession,
    table: &Table,
) -> Result<(TableDigest, Option<String>)> {
    let name = printable(&format!("{}.{}", table.schema, table.table));
    let doing = format!("comparing {name}");
    restoring.progress.doing(&doing);
    let (copied, digest) = digest(restoring, session, &doing, &table.copy_out())?;
    let expected = (Copied { rows: table.rows, bytes: table.bytes }, table.sha256);
    let difference = (expected != (copied, digest)).then(|| {
        format!(
            "{name}: {}, {}, SHA-256 {digest}; the backup has {}, {}, {}",
            counted(copied.rows, "row"),
            counted(copied.bytes, "byte"),
            counted(table.rows, "row"),
            counted(table.bytes, "byte"),
            table.sha256
        )
    });
    let (schema, table) = (table.schema.clone(), table.table.clone());
    Ok((TableDigest { schema, table, rows: copied.rows, sha256: digest, through: None }, difference))
}

/// Returns the tree of `table`, if it was loaded through the root of its partitions.
fn tree_of<'a>(restoring: &'a Restoring<'_>, table: &Table) -> Option<&'a Tree> {
    restoring.trees.iter().find(|tree| tree.files.contains(&table.file))
}

/// Sorts the digests in the order of `tables`, because threads return them in any order.
fn in_order(tables: &[&Table], found: impl Iterator<Item = TableDigest>) -> Vec<TableDigest> {
    let place: HashMap<(&str, &str), usize> =
        tables.iter().enumerate().map(|(place, t)| ((t.schema.as_str(), t.table.as_str()), place)).collect();
    let mut found: Vec<TableDigest> = found.collect();
    found.sort_by_key(|f| place.get(&(f.schema.as_str(), f.table.as_str())).copied());
    found
}

fn digest(
    restoring: &Restoring<'_>,
    session: &mut RawSession,
    doing: &str,
    sql: &str,
) -> Result<(Copied, Digest)> {
    let mut hasher = Hasher::default();
    let copied = session.copy_out(doing, sql, |piece| {
        hasher.update(piece);
        restoring.progress.advance(piece.len() as u64);
        Ok(())
    })?;
    Ok((copied, hasher.finish()))
}

fn compare_sequences(restoring: &Restoring<'_>) -> Result<Vec<String>> {
    let doing = "comparing sequences";
    restoring.progress.doing(doing);
    let control = Control::open(&restoring.server, &restoring.database, restoring.stop)?;
    let names: Vec<&String> = restoring.manifest.sequences.keys().collect();
    let mut states = BTreeMap::new();
    for names in names.chunks(SEQUENCES_AT_ONCE) {
        let parts = names.iter().map(|name| state_query(name)).collect::<Result<Vec<_>>>()?;
        for row in control.rows(doing, &parts.join(" UNION ALL "), &[])? {
            let state = SequenceState { last_value: row.get(1), is_called: row.get(2) };
            states.insert(row.get::<_, String>(0), state);
        }
    }
    let differs = restoring.manifest.sequences.iter().filter_map(|(name, range)| {
        let state = states.get(name);
        let is_equal = state.is_some_and(|state| range.allows(*state));
        (!is_equal).then(|| {
            let state =
                state.map_or_else(|| "nothing".to_owned(), |s| format!("{} {}", s.last_value, s.is_called));
            format!("{}: {state}; the backup has {}", printable(name), range.before.last_value)
        })
    });
    Ok(differs.collect())
}

/// Returns the query for the state of sequence `name`. The manifest is untrusted: only a valid name
/// becomes part of the SQL.
fn state_query(name: &str) -> Result<String> {
    let (schema, sequence) = quote::parse_qualified(name).ok_or_else(|| {
        Failure::new(Exit::Data, "comparing sequences")
            .because(format!(
                "the manifest contains a sequence {name}, which is not a quoted schema and name"
            ))
            .advise("nexus-backup does not write such sets: find out who created it")
    })?;
    let place = quote::qualified(&schema, &sequence);
    Ok(format!("SELECT {}::text, last_value, is_called FROM {place}", quote::literal(name)))
}

/// Compares the large objects and returns their number.
fn compare_large_objects(restoring: &Restoring<'_>) -> Result<u64> {
    let doing = "comparing large objects";
    restoring.progress.doing(doing);
    let mut session = parallel::session(restoring)?;
    let expected = restoring.manifest.large_objects.as_ref();
    let (copied, digest) =
        digest(restoring, &mut session, doing, &format!("COPY ({LARGE_OBJECT_QUERY}) TO STDOUT"))?;
    let is_equal = match expected {
        Some(expected) => digest == expected.sha256,
        None => copied.rows == 0,
    };
    if is_equal {
        return Ok(expected.map_or(0, |expected| expected.count));
    }
    let expected =
        expected.map_or_else(|| "none".to_owned(), |e| format!("{}, SHA-256 {}", e.count, e.sha256));
    refuse(&[format!("s: SHA-256 {digest}; the backup has {expected}")], "large object")?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_sequence_cannot_inject_sql() {
        let query = state_query("\"public\".\"it's\"").unwrap();
        assert_eq!(
            query,
            "SELECT '\"public\".\"it''s\"'::text, last_value, is_called FROM \"public\".\"it's\""
        );
        let hostile = "(SELECT 1 AS last_value, true AS is_called, pg_read_file('/etc/passwd')) AS x";
        assert_eq!(state_query(hostile).unwrap_err().exit(), Exit::Data);
    }
}
