//! Partitions whose rows belong to other partitions in the new database, for example by the hash of
//! an enum. They are loaded through the root table, as `pg_dump --load-via-partition-root` does,
//! and compared together.

use std::collections::HashSet;

use age::Identity;
use nexus_backup_set::manifest::Table;
use nexus_cli::failure::Result;
use nexus_cli::text::{counted, printable};
use nexus_postgres::blocking::Control;
use nexus_postgres::quote::{ascii_identifier, qualified};
use nexus_postgres::raw::RawSession;

use crate::row_sum::{Adder, RowSum};
use crate::{Restoring, parallel, rows};

/// Returns schema and name of the root table, if `$1` is a partition, then of each leaf partition
/// below it.
const FAMILY: &str = "\
SELECT n.nspname::text, c.relname::text FROM (SELECT pg_catalog.pg_partition_root($1::text::pg_catalog.regclass) AS root) r, \
LATERAL (SELECT r.root AS relid, 0 AS place UNION ALL \
  SELECT t.relid, 1 FROM pg_catalog.pg_partition_tree(r.root) t WHERE t.isleaf) t \
JOIN pg_catalog.pg_class c ON c.oid = t.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY t.place";

/// The partitions of a table that are in the set.
#[derive(Clone, Debug)]
pub(super) struct Branches<'t> {
    /// The schema and name of the root table.
    root: (String, String),
    pub(super) tables: Vec<&'t Table>,
}

/// Partitions that were loaded through their root table.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The name of the root, for people.
    pub root: String,
    /// The files of the partitions in the set, which identify them.
    pub files: HashSet<String>,
    /// The sum of their rows in the set.
    pub expected: RowSum,
}

/// Returns the partitions below the root of `table`; `None` if `table` is not a partition.
///
/// # Errors
/// Errors of the server.
pub(super) fn find<'t>(
    restoring: &Restoring<'_>,
    tables: &'t [Table],
    table: &Table,
) -> Result<Option<Branches<'t>>> {
    let control = Control::open(&restoring.server, &restoring.database, restoring.stop)?;
    let name = qualified(&table.schema, &table.table);
    let family = control.rows("looking for the root of a partition", FAMILY, &[&name])?;
    let mut family = family.iter().map(|row| (row.get(0), row.get(1)));
    let Some(root) = family.next() else { return Ok(None) };
    let leaves: HashSet<(String, String)> = family.collect();
    let tables = tables
        .iter()
        .filter(|table| leaves.contains(&(table.schema.clone(), table.table.clone())))
        .filter(|table| !restoring.is_left_out(table))
        .collect();
    Ok(Some(Branches { root, tables }))
}

impl Branches<'_> {
    /// The name of the root, for people.
    pub(super) fn label(&self) -> String {
        printable(&format!("{}.{}", self.root.0, self.root.1))
    }

    /// Loads all rows in one transaction.
    ///
    /// # Errors
    /// Those of [`rows::copy`]. The session is then unusable.
    pub(super) fn load(
        &self,
        restoring: &Restoring<'_>,
        identities: &[Box<dyn Identity>],
        session: &mut RawSession,
    ) -> Result<Tree> {
        let doing = format!("restoring the partitions of {}", self.label());
        restoring.progress.doing(&doing);
        let root = format!("{}.{}", ascii_identifier(&self.root.0), ascii_identifier(&self.root.1));
        session.execute(&doing, "BEGIN")?;
        session.execute(&doing, &format!("TRUNCATE {root}"))?;
        let mut expected = RowSum::default();
        for table in &self.tables {
            let mut adder = Adder::new(table);
            rows::copy(restoring, identities, session, table, &table.copy_in_through(&root), |piece| {
                adder.take(piece)
            })?;
            expected += adder.finish()?;
        }
        session.execute(&doing, "COMMIT")?;
        let files = self.tables.iter().map(|table| table.file.clone()).collect();
        Ok(Tree { root: self.label(), files, expected })
    }
}

/// Returns how the rows in the partitions differ from those in the set.
///
/// # Errors
/// Errors of the server.
pub(super) fn compare(restoring: &Restoring<'_>, tree: &Tree) -> Result<Option<String>> {
    let tables = restoring.manifest.tables.iter().filter(|table| tree.files.contains(&table.file)).collect();
    let sums = parallel::each_table(
        restoring,
        tables,
        || Ok(()),
        |(), session, table| {
            let doing = format!("comparing {}", printable(&table.label()));
            restoring.progress.doing(&doing);
            let mut adder = Adder::new(table);
            session.copy_out(&doing, &table.copy_out(), |piece| {
                restoring.progress.advance(piece.len() as u64);
                adder.take(piece)
            })?;
            adder.finish()
        },
    )?;
    let mut found = RowSum::default();
    for sum in sums {
        found += sum;
    }
    let expected = tree.expected;
    if found == expected {
        return Ok(None);
    }
    let (root, rows) = (&tree.root, found.rows);
    Ok(Some(if rows == expected.rows {
        format!("{root} and its partitions: of {}, some differ from the backup", counted(rows, "row"))
    } else {
        format!("{root} and its partitions: {}; the backup has {}", counted(rows, "row"), expected.rows)
    }))
}
