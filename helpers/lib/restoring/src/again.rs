//! A second try for rows that the server has refused. It runs after all other rows, because a
//! constraint's function may read them; through the root of the partitions; and with the
//! search_path of the database's sessions.

use age::Identity;
use nexus_backup_set::database_sql::list_of_literals;
use nexus_backup_set::manifest::Table;
use nexus_cli::failure::{Failure, Result};
use nexus_cli::text::printable;

use crate::refused::{self, Refused, Rows, is_about_content, is_misplaced};
use crate::tree::{self, Tree};
use crate::{Restoring, parallel, rows};

/// How rows were loaded.
struct Loaded {
    tree: Option<Tree>,
    /// The search_path that was needed.
    path: Option<String>,
}

/// Loads the refused rows.
///
/// # Errors
/// Data (65) with the name of every table that is still refused; errors of the server.
pub(super) fn load<'t>(
    restoring: &mut Restoring<'_>,
    tables: &'t [Table],
    mut left: Vec<Refused<'t>>,
) -> Result<()> {
    if left.is_empty() {
        return Ok(());
    }
    let identities = restoring.unlock.identities()?;
    find_trees(restoring, tables, &mut left)?;
    while !left.is_empty() {
        let count = left.len();
        let mut still = Vec::new();
        for Refused { rows, failure: _ } in left {
            match load_with_any_path(restoring, &identities, &rows)? {
                Ok(loaded) => remember(restoring, &rows, loaded),
                Err(failure) => still.push(Refused { rows, failure }),
            }
        }
        left = still;
        if left.len() == count && !find_trees(restoring, tables, &mut left)? {
            break;
        }
    }
    refused::rows(restoring, &left).map_or(Ok(()), Err)
}

/// Groups refused partitions by root, to load them together. Returns whether it found any.
fn find_trees<'t>(
    restoring: &Restoring<'_>,
    tables: &'t [Table],
    left: &mut Vec<Refused<'t>>,
) -> Result<bool> {
    let mut found = false;
    while let Some((table, place)) = left.iter().enumerate().find_map(|(place, refused)| match refused.rows {
        Rows::Table(table) if is_misplaced(&refused.failure) => Some((table, place)),
        _ => None,
    }) {
        let Some(branches) = tree::find(restoring, tables, table)? else { break };
        let failure = left.swap_remove(place).failure;
        left.retain(|refused| match refused.rows {
            Rows::Table(table) => !branches.tables.iter().any(|branch| branch.file == table.file),
            Rows::Tree(_) => true,
        });
        left.push(Refused { rows: Rows::Tree(branches), failure });
        found = true;
    }
    Ok(found)
}

/// Tries without a search_path, then with each one. Returns the first refusal if all are refused.
fn load_with_any_path(
    restoring: &Restoring<'_>,
    identities: &[Box<dyn Identity>],
    rows: &Rows<'_>,
) -> Result<std::result::Result<Loaded, Failure>> {
    let first = match load_with_path(restoring, identities, rows, None)? {
        Err(failure) if !is_misplaced(&failure) => failure,
        // The server only reports that rows belong to another partition once it has found the
        // functions.
        outcome => return Ok(outcome),
    };
    let paths = match &restoring.wanted.search_path {
        Some(path) => vec![list_of_literals(path)],
        None => restoring.manifest.postgres.properties.search_paths(),
    };
    for path in paths {
        match load_with_path(restoring, identities, rows, Some(path))? {
            Err(failure) if !is_misplaced(&failure) => {}
            outcome => return Ok(outcome),
        }
    }
    Ok(Err(first))
}

fn load_with_path(
    restoring: &Restoring<'_>,
    identities: &[Box<dyn Identity>],
    rows: &Rows<'_>,
    path: Option<String>,
) -> Result<std::result::Result<Loaded, Failure>> {
    restoring.stop.check()?;
    let mut session = parallel::session(restoring)?;
    if let Some(path) = &path {
        session.execute("setting search_path", &format!("SET search_path TO {path}"))?;
    }
    let outcome = match rows {
        Rows::Table(table) => rows::load_table(restoring, identities, &mut session, table).map(|()| None),
        Rows::Tree(branches) => branches.load(restoring, identities, &mut session).map(Some),
    };
    match outcome {
        Ok(tree) => Ok(Ok(Loaded { tree, path })),
        Err(failure) if is_about_content(&failure) => Ok(Err(failure)),
        Err(failure) => Err(failure),
    }
}

fn remember(restoring: &mut Restoring<'_>, rows: &Rows<'_>, loaded: Loaded) {
    if let Some(path) = loaded.path {
        let name = match rows {
            Rows::Table(table) => printable(&table.label()),
            Rows::Tree(branches) => branches.label(),
        };
        restoring.note(format!(
            "{name} was restored with search_path {}: its constraints or generated columns call functions that use other \
             functions, tables or types without naming their schema. ALTER FUNCTION … SET search_path makes them independent of it",
            printable(&path)
        ));
    }
    restoring.trees.extend(loaded.tree);
}
