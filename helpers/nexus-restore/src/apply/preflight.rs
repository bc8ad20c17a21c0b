//! Checks that the set can be restored on this server, before anything is created there.

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::{counted, moment, printable};
use nexus_postgres::blocking::Control;
use nexus_restoring::{archive, requirements};

use crate::apply::names::LONGEST;
use crate::apply::{Restore, forget, redis, safety, space};

/// What the restore will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Whether it replaces an existing database.
    pub(crate) replaces: bool,
    /// Whether it restores Redis's snapshot too.
    pub(crate) redis: bool,
    /// Number of lines in the set's purge ledger, if that is another machine's; the restore merges it into this machine's.
    pub(crate) foreign: Option<usize>,
    /// `server_version_num`
    pub(crate) server_version: u32,
}

impl Plan {
    /// Returns the question for the user; `None` if nothing will be replaced.
    pub(crate) fn question(self, restore: &Restore<'_>) -> Option<String> {
        let ledger = self.foreign.map(|lines| {
            format!(
                " Its purge ledger ({}) was written with keys that this machine does not have: it is another machine's. It \
                 will be applied to the restored data, and added to this machine's.",
                counted(lines as u64, "line")
            )
        });
        let what = match (self.replaces, self.redis) {
            (false, false) => {
                return ledger.map(|ledger| format!("Set {} will be restored.{ledger}", restore.making.id()));
            }
            (true, false) => format!("database {}", printable(&restore.target)),
            (true, true) => format!("database {} and the data in Redis", printable(&restore.target)),
            (false, true) => "the data in Redis".to_owned(),
        };
        Some(format!(
            "Set {} of {} ({}) will replace {what} at {}. The present data is kept.{}",
            restore.making.id(),
            moment(restore.making.manifest.taken),
            counted(restore.making.manifest.rows(), "row"),
            restore.making.server.address(),
            ledger.unwrap_or_default()
        ))
    }
}

/// Checks all that can be checked in advance.
pub(crate) fn check(restore: &mut Restore<'_>, control: &Control) -> Result<Plan> {
    let server_version = requirements::check_server(&restore.making, control)?;
    requirements::check_extensions(&mut restore.making, control)?;
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
            safety::dry_run(restore)?;
        }
    }
    let foreign = forget::check(restore)?.filter(|_| restore.args.into.is_none());
    archive::check(&restore.making)?;
    restore.disks = space::check(restore, control)?;
    Ok(Plan { replaces: exists, redis: redis::is_wanted(restore), foreign, server_version })
}

/// Checks a database name.
///
/// # Errors
/// Usage (64) if it is not valid.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if (1..=LONGEST).contains(&name.len()) && !name.contains('\0') {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, format!("database name \"{}\"", printable(name)))
        .because(format!("a name has 1 to {LONGEST} bytes")))
}

/// Checks for prepared transactions: PostgreSQL cannot rename a database that has one.
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
                .because(format!(
                    "the database has {}",
                    counted(count.unsigned_abs(), "prepared transaction")
                ))
                .advise(
                    "End them: SELECT gid FROM pg_prepared_xacts, then COMMIT PREPARED or ROLLBACK PREPARED",
                ))
        }
    }
}
