//! Checks that a server meets the requirements of a set.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::printable;
use nexus_postgres::blocking::Control;

use crate::Restoring;

/// Refuses a server that is too old or a standby, or a role that is not a superuser. Returns
/// `server_version_num`.
///
/// # Errors
/// Unavailable (69) for such a server, Permission (77) for such a role; errors of the server.
pub fn check_server(restoring: &Restoring<'_>, control: &Control) -> Result<u32> {
    let row = control.row(
        "checking the server",
        "SELECT pg_catalog.current_setting('server_version'), \
         pg_catalog.current_setting('server_version_num')::integer, pg_catalog.pg_is_in_recovery(), \
         (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)",
        &[],
    )?;
    let (version, number): (String, i32) = (row.get(0), row.get(1));
    let number = number.cast_unsigned();
    let of_set = &restoring.manifest.postgres;
    if number / 10_000 < of_set.server_version_num / 10_000 {
        return Err(Failure::new(Exit::Unavailable, "checking the server")
            .because(format!(
                "the server is PostgreSQL {version}, but the set comes from PostgreSQL {}",
                of_set.server_version
            ))
            .advise(
                "Restore on a server of that version or newer. To move NEXUS's own server to it: nexus-upgrade-postgres IMAGE",
            ));
    }
    if row.get(2) {
        return Err(Failure::new(Exit::Unavailable, "checking the server")
            .because("it is a standby")
            .advise("Restore on its primary"));
    }
    if !row.get::<_, bool>(3) {
        return Err(Failure::new(Exit::Permission, "checking the server")
            .because(format!("role {} is not a superuser", restoring.server.settings.user))
            .advise("Set NEXUS_PG_USER to a superuser (postgres in the shipped stack)"));
    }
    Ok(number)
}

/// Refuses a server that lacks an extension of the set or has only an older version.
///
/// # Errors
/// Unavailable (69) for such a server; errors of the server.
pub fn check_extensions(restoring: &mut Restoring<'_>, control: &Control) -> Result<()> {
    let rows = control.rows(
        "listing the extensions of the server",
        "SELECT name::text, default_version FROM pg_catalog.pg_available_extensions",
        &[],
    )?;
    let offered: BTreeMap<String, Option<String>> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (name, version) in restoring.manifest.postgres.extensions.clone() {
        let refused = |why: String| {
            Failure::new(Exit::Unavailable, format!("looking for extension {name} {version}"))
                .because(why)
                .advise("Install it on the server, in that version or a newer one")
        };
        // pg_dump does not record the version, so the server creates its default one.
        let Some(default) = offered.get(&name).cloned().flatten() else {
            return Err(refused("the server does not have it".to_owned()));
        };
        match compare_versions(&default, &version) {
            Ordering::Less => return Err(refused(format!("the server has {default}"))),
            Ordering::Equal => {}
            Ordering::Greater => {
                restoring.note(format!("extension {name}: {version} in the set, {default} here"));
            }
        }
    }
    Ok(())
}

/// Checks whether the server has the tablespaces of the set. If it lacks one, everything goes to
/// the database's default tablespace. If the set does not list its tablespaces, the restore uses
/// them if the server has any.
///
/// # Errors
/// Errors of the server.
pub(crate) fn check_tablespaces(restoring: &mut Restoring<'_>, control: &Control) -> Result<()> {
    let rows = control.rows(
        "listing the tablespaces",
        "SELECT spcname::text FROM pg_catalog.pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')",
        &[],
    )?;
    let there: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let of_set = &restoring.manifest.postgres.properties.tablespaces;
    let missing = of_set.iter().flatten().filter(|name| *name != "pg_default" && !there.contains(*name));
    let missing: Vec<_> = missing.map(|name| printable(name)).collect();
    restoring.without_tablespaces = !missing.is_empty() || (of_set.is_none() && there.is_empty());
    if !missing.is_empty() {
        restoring.note(format!(
            "this server has no tablespace {}: all tables and indexes are where the database is",
            missing.join(", ")
        ));
    }
    Ok(())
}

/// Compares versions by their numbers: `0.8.10` is newer than `0.8.7`.
fn compare_versions(one: &str, other: &str) -> Ordering {
    let parts = |version: &str| -> Vec<(u64, String)> {
        version.split(['.', '-']).map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
    };
    let (one, other) = (parts(one), parts(other));
    let numbers = |parts: &[(u64, String)]| parts.iter().map(|(number, _)| *number).collect::<Vec<_>>();
    numbers(&one).cmp(&numbers(&other)).then_with(|| one.len().cmp(&other.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (older, newer) in [("0.8.7", "0.8.10"), ("1.6", "1.6.1"), ("1.9", "1.10"), ("2", "10")] {
            assert_eq!(compare_versions(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare_versions(newer, older), Ordering::Greater);
        }
        assert_eq!(compare_versions("1.0", "1.0"), Ordering::Equal);
    }
}
