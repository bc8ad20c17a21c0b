//! Whether the set can be restored on this server, before anything is made there.

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::{counted, moment, printable};
use nexus_postgres::blocking::Control;
use nexus_restoring::{archive, requirements};

use crate::apply::names::LONGEST;
use crate::apply::{Restore, forget, redis, safety, space};

/// What will be done, where there was a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Whether a living database of the target's name is there, to be swapped with the restored one.
    pub(crate) replaces: bool,
    /// Whether Redis's snapshot is restored too.
    pub(crate) redis: bool,
    /// Lines of the set's purge ledger, where it is another machine's and becomes part of this one's.
    pub(crate) foreign: Option<usize>,
    /// `server_version_num`
    pub(crate) server_version: u32,
}

impl Plan {
    /// What a person is asked; nothing when nothing will be replaced.
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
            "Set {} of {} ({}) will replace {what} at {}; what is there now is kept.{}",
            restore.making.id(),
            moment(restore.making.manifest.taken),
            counted(restore.making.manifest.rows(), "row"),
            restore.making.server.address(),
            ledger.unwrap_or_default()
        ))
    }
}

/// Looks at everything that can be known beforehand.
///
/// # Errors
/// What is missing, and how to get it.
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
            safety::rehearse(restore)?;
        }
    }
    let foreign = forget::check(restore)?.filter(|_| restore.args.into.is_none());
    archive::check(&restore.making)?;
    restore.room = space::check(restore, control)?;
    Ok(Plan { replaces: exists, redis: redis::is_wanted(restore), foreign, server_version })
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
