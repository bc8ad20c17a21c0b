//! Finds the rows of other tables that a step deletes or changes too, by their location, level by
//! level, before it deletes anything.

use std::collections::{BTreeMap, BTreeSet};

use nexus_cli::failure::Result;
use nexus_postgres::blocking::Control;
use tokio_postgres::{Error, Row};

use crate::forgetting::references::{Fate, ForeignKey, OnReference, Referring};

/// The most rows that one query looks up.
const AT_ONCE: usize = 5000;

/// The columns that locate a row.
const PLACE: &str = "tableoid, ctid::text, tableoid::pg_catalog.regclass::text";

/// A table or partition, and the location in it.
type RowKey = (u32, String);

/// What a step does besides deleting its own rows.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// The names of tables and partitions by OID, quoted and qualified.
    names: BTreeMap<u32, String>,
    /// The rows of the step itself.
    own: BTreeSet<RowKey>,
    /// Rows that are deleted with them, and the foreign key that leads there.
    goes: BTreeMap<RowKey, usize>,
    /// Rows whose reference is set to NULL, by foreign key.
    emptied: BTreeMap<usize, BTreeSet<RowKey>>,
    /// Rows that the server changes, by foreign key.
    changed: BTreeMap<usize, BTreeSet<RowKey>>,
    /// Rows that forbid the deletion, and their foreign key.
    forbid: BTreeMap<RowKey, usize>,
}

/// Finds the rows and locks those of other tables. Runs in a transaction. The inner error is an
/// error of the server.
///
/// # Errors
/// Unavailable (69) when the connection is lost.
pub(super) fn follow(
    session: &Control,
    keys: &[ForeignKey],
    on: OnReference,
    heap: &str,
    condition: &str,
) -> Result<std::result::Result<Following, Error>> {
    let mut following = Following::default();
    let own = format!("SELECT {PLACE} FROM ONLY {heap} WHERE {condition}");
    let mut frontier = match session.try_rows(&own)? {
        Ok(rows) => following.places(&rows),
        Err(error) => return Ok(Err(error)),
    };
    following.own.extend(frontier.iter().cloned());
    while !frontier.is_empty() {
        let mut next = Vec::new();
        for (oid, places) in by_table(&frontier) {
            for (number, key) in
                keys.iter().enumerate().filter(|(_, key)| !key.is_queue && key.refers_to(oid))
            {
                for some in places.chunks(AT_ONCE) {
                    let referred = format!("ONLY {} WHERE {}", following.name(oid), at(some));
                    let refer = key.condition(&referred);
                    let sql = format!("SELECT {PLACE} FROM {} WHERE {refer} FOR UPDATE", key.rows());
                    match session.try_rows(&sql)? {
                        Ok(rows) => following.take(&rows, number, key.fate(on), &mut next),
                        Err(error) => return Ok(Err(error)),
                    }
                }
            }
        }
        frontier = next;
    }
    Ok(Ok(following))
}

impl Following {
    fn name(&self, oid: u32) -> &str {
        self.names.get(&oid).map_or("", String::as_str)
    }

    fn places(&mut self, rows: &[Row]) -> Vec<RowKey> {
        let place = |row: &Row| {
            let oid = row.get(0);
            self.names.entry(oid).or_insert_with(|| row.get(2));
            (oid, row.get(1))
        };
        rows.iter().map(place).collect()
    }

    fn take(&mut self, rows: &[Row], key: usize, fate: Fate, next: &mut Vec<RowKey>) {
        for place in self.places(rows) {
            match fate {
                Fate::Deleted if self.own.contains(&place) || self.goes.contains_key(&place) => {}
                Fate::Deleted => {
                    self.goes.insert(place.clone(), key);
                    next.push(place);
                }
                Fate::SetToNull => _ = self.emptied.entry(key).or_default().insert(place),
                Fate::Updated => _ = self.changed.entry(key).or_default().insert(place),
                Fate::Forbids => _ = self.forbid.insert(place, key),
            }
        }
    }

    fn stays(&self, place: &RowKey) -> bool {
        !self.own.contains(place) && !self.goes.contains_key(place)
    }

    /// Returns a foreign key that forbids the deletion, if any. A row that is deleted itself
    /// forbids nothing.
    pub(super) fn forbidden_by<'k>(&self, keys: &'k [ForeignKey]) -> Option<&'k ForeignKey> {
        self.forbid.iter().find(|(place, _)| self.stays(place)).map(|(_, key)| &keys[*key])
    }

    /// Returns one statement for everything, so that PostgreSQL checks the foreign keys at the end.
    /// `delete` is the step's own `DELETE … RETURNING`.
    pub(super) fn statement(&self, keys: &[ForeignKey], delete: &str) -> String {
        let mut parts = Vec::new();
        for ((table, set), stay) in self.updates(keys) {
            for (oid, places) in by_table(&stay) {
                parts.push(format!("UPDATE {table} SET {set} WHERE tableoid = {oid} AND {}", at(&places)));
            }
        }
        let goes: Vec<RowKey> = self.goes.keys().cloned().collect();
        for (oid, places) in by_table(&goes) {
            parts.push(format!("DELETE FROM ONLY {} WHERE {}", self.name(oid), at(&places)));
        }
        if parts.is_empty() {
            return delete.to_owned();
        }
        let parts: Vec<String> =
            parts.iter().enumerate().map(|(number, part)| format!("nexus_{number} AS ({part}), ")).collect();
        format!("WITH {}nexus_own AS ({delete}) SELECT * FROM nexus_own", parts.concat())
    }

    /// Returns the rows whose references are set to NULL, by table and SET clause. A row that
    /// refers twice is updated once.
    fn updates(&self, keys: &[ForeignKey]) -> BTreeMap<(String, String), Vec<RowKey>> {
        let mut sets: BTreeMap<&RowKey, (String, BTreeSet<String>)> = BTreeMap::new();
        for (key, places) in &self.emptied {
            let key = &keys[*key];
            for place in places.iter().filter(|place| self.stays(place)) {
                sets.entry(place).or_insert_with(|| (key.rows(), BTreeSet::new())).1.extend(key.emptied());
            }
        }
        let mut updates: BTreeMap<(String, String), Vec<RowKey>> = BTreeMap::new();
        for (place, (table, columns)) in sets {
            let set: Vec<String> = columns.into_iter().collect();
            updates.entry((table, set.join(", "))).or_default().push(place.clone());
        }
        updates
    }

    /// Adds the result to `referring`.
    pub(super) fn count(&self, keys: &[ForeignKey], referring: &mut Referring) {
        for key in self.goes.values() {
            referring.entry(keys[*key].table.clone()).or_default().deleted += 1;
        }
        for (key, places) in self.emptied.iter().chain(&self.changed) {
            let stay = places.iter().filter(|place| self.stays(place)).count() as u64;
            if stay > 0 {
                referring.entry(keys[*key].table.clone()).or_default().emptied += stay;
            }
        }
    }
}

fn by_table(places: &[RowKey]) -> BTreeMap<u32, Vec<RowKey>> {
    let mut tables: BTreeMap<u32, Vec<RowKey>> = BTreeMap::new();
    for place in places {
        tables.entry(place.0).or_default().push(place.clone());
    }
    tables
}

/// SQL for the rows at these locations of one table.
fn at(places: &[RowKey]) -> String {
    let places: Vec<String> = places.iter().map(|(_, place)| format!("\"{place}\"")).collect();
    format!("ctid = ANY ('{{{}}}'::pg_catalog.tid[])", places.join(","))
}
