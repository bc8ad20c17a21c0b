//! Allows one restore at a time, and removes what killed restores left behind.

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::stop::Stop;
use nexus_cli::text::printable;
use nexus_postgres::blocking::Control;
use nexus_restoring::roles;

use crate::apply::{Restore, names};
use crate::remove::drop_database;
use crate::rollback::databases;

/// Key of the advisory lock that a restore holds: "nexusrst" in ASCII.
const LOCK: i64 = 0x6e65_7875_7372_7374;

/// Takes the lock. The server releases it when the session ends, even if this program is killed.
///
/// # Errors
/// TryLater (75) if another restore holds it.
pub(crate) fn lock(control: &Control) -> Result<()> {
    let doing = "taking the lock of restores";
    if control.row(doing, "SELECT pg_catalog.pg_try_advisory_lock($1)", &[&LOCK])?.get(0) {
        return Ok(());
    }
    let (high, low) = (LOCK >> 32, LOCK & 0xffff_ffff);
    let holder = control.rows(
        doing,
        "SELECT a.pid, a.backend_start::text, a.usename::text FROM pg_catalog.pg_locks l \
         JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = $1 AND l.objid::bigint = $2",
        &[&high, &low],
    )?;
    let holder = holder.first().map_or_else(
        || "another restore".to_owned(),
        |row| {
            let (pid, since): (i32, &str) = (row.get(0), row.get(1));
            let role = row.get::<_, Option<&str>>(2).unwrap_or_default();
            format!("a restore (server process {pid} of role {role}, since {since})")
        },
    );
    Err(Failure::new(Exit::TryLater, doing)
        .because(format!("held by {holder}"))
        .advise("Wait until that restore has ended, then run the command again"))
}

/// Drops the databases of killed restores. The caller holds the lock, so no restore is running.
pub(crate) fn leftovers(restore: &Restore<'_>, control: &Control) -> Result<()> {
    for name in databases(control)?.into_iter().filter(|name| names::is_restoring(name)) {
        drop_database(&restore.making.server, control, &name)?;
        log::info!("removed {}, left by a restore that was killed", printable(&name));
    }
    Ok(())
}

/// Removes what a failed restore has created. If this fails too, the next restore removes the rest.
pub(crate) fn discard(restore: &Restore<'_>) {
    restore.making.progress.doing("removing what was restored");
    // Its own stop flag: a stopped job must clean up too.
    let control = Control::beside(&restore.making.server, &restore.target, &Stop::default());
    let dropped = control.and_then(|control| {
        drop_database(&restore.making.server, &control, &restore.making.database)?;
        roles::remove(&control, &restore.making.roles_made);
        Ok(())
    });
    if let Err(failure) = dropped {
        log::warn!("{failure}. The next restore removes it");
    }
}
