//! Whether the set can be restored on this server, before anything is made there.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use nexus_core::failure::{Exit, Failure, Result};

use crate::apply::names::LONGEST;
use crate::apply::{Restore, archive, redis, safety, space};
use crate::server::Control;
use crate::text::{counted, moment, printable};

/// What will be done, where there was a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Whether a living database of the target's name is there, to be swapped with the restored one.
    pub(crate) replaces: bool,
    /// Whether Redis's snapshot is restored too.
    pub(crate) redis: bool,
    /// `server_version_num`
    pub(crate) server_version: u32,
}

impl Plan {
    /// What a person is asked; nothing when nothing will be replaced.
    pub(crate) fn question(self, restore: &Restore<'_>) -> Option<String> {
        let what = match (self.replaces, self.redis) {
            (false, false) => return None,
            (true, false) => format!("database {}", printable(&restore.target)),
            (true, true) => format!("database {} and the data in Redis", printable(&restore.target)),
            (false, true) => "the data in Redis".to_owned(),
        };
        Some(format!(
            "Set {} of {} ({}) will replace {what} at {}; what is there now is kept.",
            restore.id(),
            moment(restore.manifest.taken),
            counted(restore.manifest.rows(), "row"),
            restore.server.address()
        ))
    }
}

/// Looks at everything that can be known beforehand.
///
/// # Errors
/// What is missing, and how to get it.
pub(crate) fn check(restore: &mut Restore<'_>, control: &Control) -> Result<Plan> {
    let server_version = check_server(restore, control)?;
    check_extensions(restore, control)?;
    let exists = control
        .row(
            "looking for the database",
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)",
            &[&restore.target],
        )?
        .get(0);
    if exists && restore.args.into.is_some() {
        return Err(Failure::new(
            Exit::CannotCreate,
            format!("restoring into {}", printable(&restore.target)),
        )
        .because("a database of that name exists")
        .advise("Give another name with --into"));
    }
    if exists {
        check_prepared(restore, control)?;
        if !restore.args.no_safety_backup {
            safety::rehearse(restore)?;
        }
    }
    archive::check(restore)?;
    space::check(restore, control)?;
    Ok(Plan { replaces: exists, redis: redis::is_wanted(restore), server_version })
}

/// Whether a database can be called that.
///
/// # Errors
/// Usage (64).
pub(crate) fn check_name(name: &str) -> Result<()> {
    if (1..=LONGEST).contains(&name.len()) && !name.contains('\0') {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, format!("database name \"{}\"", printable(name)))
        .because(format!("a name has 1 to {LONGEST} bytes")))
}

fn check_server(restore: &Restore<'_>, control: &Control) -> Result<u32> {
    let row = control.row(
        "looking at the server",
        "SELECT pg_catalog.current_setting('server_version'), \
         pg_catalog.current_setting('server_version_num')::integer, pg_catalog.pg_is_in_recovery(), \
         (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)",
        &[],
    )?;
    let (version, number): (String, i32) = (row.get(0), row.get(1));
    let number = number.cast_unsigned();
    let of_set = &restore.manifest.postgres;
    if number / 10_000 < of_set.server_version_num / 10_000 {
        return Err(Failure::new(Exit::Unavailable, "looking at the server")
            .because(format!("it is PostgreSQL {version}, the set is of {}", of_set.server_version))
            .advise("Restore on a server of that version or newer"));
    }
    if row.get(2) {
        return Err(Failure::new(Exit::Unavailable, "looking at the server")
            .because("it is a standby")
            .advise("Restore on its primary"));
    }
    if !row.get::<_, bool>(3) {
        return Err(Failure::new(Exit::Permission, "looking at the server")
            .because(format!("role {} is no superuser", restore.server.settings.user))
            .advise("Set NEXUS_PG_USER to a superuser (postgres in the shipped stack)"));
    }
    Ok(number)
}

fn check_extensions(restore: &mut Restore<'_>, control: &Control) -> Result<()> {
    let rows = control.rows(
        "reading which extensions the server offers",
        "SELECT name::text, default_version FROM pg_catalog.pg_available_extensions",
        &[],
    )?;
    let offered: BTreeMap<String, Option<String>> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (name, version) in restore.manifest.postgres.extensions.clone() {
        let refused = |why: String| {
            Failure::new(Exit::Unavailable, format!("looking for extension {name} {version}"))
                .because(why)
                .advise("Install it on the server, in that version or a newer one")
        };
        // pg_dump does not say which version: the server's default one is made.
        let Some(default) = offered.get(&name).cloned().flatten() else {
            return Err(refused("the server does not have it".to_owned()));
        };
        match compare_versions(&default, &version) {
            Ordering::Less => return Err(refused(format!("the server has {default}"))),
            Ordering::Equal => {}
            Ordering::Greater => {
                restore.note(format!("extension {name}: {version} in the set, {default} here"));
            }
        }
    }
    Ok(())
}

/// `0.8.10` is newer than `0.8.7`.
fn compare_versions(one: &str, other: &str) -> Ordering {
    let parts = |version: &str| -> Vec<(u64, String)> {
        version.split(['.', '-']).map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
    };
    let (one, other) = (parts(one), parts(other));
    let numbers = |parts: &[(u64, String)]| parts.iter().map(|(number, _)| *number).collect::<Vec<_>>();
    numbers(&one).cmp(&numbers(&other)).then_with(|| one.len().cmp(&other.len()))
}

/// A prepared transaction holds its database's name for as long as it lives.
fn check_prepared(restore: &Restore<'_>, control: &Control) -> Result<()> {
    let row = control.row(
        "looking for prepared transactions",
        "SELECT count(*) FROM pg_catalog.pg_prepared_xacts WHERE database = $1",
        &[&restore.target],
    )?;
    match row.get::<_, i64>(0) {
        0 => Ok(()),
        count => {
            Err(Failure::new(Exit::TryLater, format!("replacing database {}", printable(&restore.target)))
                .because(format!("{count} prepared transactions hold it"))
                .advise(
                    "End them: SELECT gid FROM pg_prepared_xacts, then COMMIT PREPARED or ROLLBACK PREPARED",
                ))
        }
    }
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
