//! The objects of a database besides rows: schemas, tables, views, indexes, constraints, triggers,
//! policies, functions, types, roles. The backup lists them, and the restore lists them again: both
//! lists must be equal.
//!
//! The digest of an object contains only what survives a dump unchanged. It contains no
//! expressions: PostgreSQL prints a view or a CHECK from its parsed form, and the text may differ
//! after a restore.

mod queries;

use std::collections::{BTreeMap, BTreeSet};

use nexus_cli::failure::Result;
use nexus_digest::Digest;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use crate::failure::from_client;

use queries::QUERIES;

/// Objects by kind ("view", "policy", …) and identity, each with the digest of its definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Objects(pub BTreeMap<String, BTreeMap<String, Digest>>);

/// How strictly to compare two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Everything must be equal: the server and the extensions have the same versions.
    Equal,
    /// Every object must exist. Other versions may describe it differently.
    Present,
}

impl Objects {
    /// Adds one row of a query of `QUERIES`.
    pub fn add(&mut self, kind: &str, identity: String, definition: &str) {
        self.0.entry(kind.to_owned()).or_default().insert(identity, Digest::of(definition.as_bytes()));
    }

    /// Returns the number of objects.
    pub fn count(&self) -> u64 {
        self.0.values().map(|of_kind| of_kind.len() as u64).sum()
    }

    /// Returns the number of objects of each kind.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|(kind, objects)| (kind.clone(), objects.len() as u64)).collect()
    }

    /// Lists what `found` lacks, has in addition, or has changed, each as "view a.b is missing".
    ///
    /// Roles belong to the server, so this compares only those in `roles`; others may exist.
    pub fn differences(&self, found: &Self, strictness: Strictness, roles: &BTreeSet<String>) -> Vec<String> {
        let mut differences = Vec::new();
        let kinds: BTreeSet<&String> = self.0.keys().chain(found.0.keys()).collect();
        let none = BTreeMap::new();
        for kind in kinds {
            let of_role = |identity: &String| kind != queries::ROLE || roles.contains(identity);
            let expected = self.0.get(kind).unwrap_or(&none);
            let there = found.0.get(kind).unwrap_or(&none);
            for (identity, digest) in expected.iter().filter(|(identity, _)| of_role(identity)) {
                match there.get(identity) {
                    None => differences.push(format!("{kind} {identity} is missing")),
                    Some(other) if other != digest && strictness == Strictness::Equal => {
                        differences.push(format!("{kind} {identity} differs"));
                    }
                    Some(_) => {}
                }
            }
            let is_more = |identity: &&String| !expected.contains_key(*identity) && of_role(identity);
            for identity in there.keys().filter(is_more).filter(|_| strictness == Strictness::Equal) {
                differences.push(format!("{kind} {identity} was added"));
            }
        }
        differences
    }
}

/// Lists the objects of the database that `client` is connected to.
///
/// # Errors
/// Errors of the server.
pub async fn list(client: &Client) -> Result<Objects> {
    let mut objects = Objects::default();
    for query in QUERIES {
        let rows =
            client.query(query, &[]).await.map_err(|e| from_client("listing the database's objects", &e))?;
        for row in rows {
            objects.add(row.get(0), row.get(1), row.get(2));
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(of: &[(&str, &str, &str)]) -> Objects {
        let mut objects = Objects::default();
        for (kind, identity, definition) in of {
            objects.add(kind, (*identity).to_owned(), definition);
        }
        objects
    }

    #[test]
    fn missing_changed_and_added_objects_are_named() {
        let was =
            objects(&[("view", "a.v", "1"), ("table", "a.t", "1"), ("role", "r", "1"), ("role", "s", "1")]);
        let is = objects(&[
            ("table", "a.t", "2"),
            ("policy", "p on a.t", ""),
            ("role", "s", "2"),
            ("role", "x", ""),
        ]);
        let roles: BTreeSet<String> = ["r".to_owned()].into();
        assert_eq!(
            was.differences(&is, Strictness::Equal, &roles),
            ["policy p on a.t was added", "role r is missing", "table a.t differs", "view a.v is missing"]
        );
        assert_eq!(
            was.differences(&is, Strictness::Present, &roles),
            ["role r is missing", "view a.v is missing"]
        );
        assert!(was.differences(&was, Strictness::Equal, &roles).is_empty());
    }

    #[test]
    fn the_list_survives_json() {
        let was = objects(&[("view", "a.\"v w\"", "1")]);
        let json = serde_json::to_string(&was).unwrap();
        assert_eq!(serde_json::from_str::<Objects>(&json).unwrap(), was);
    }
}
