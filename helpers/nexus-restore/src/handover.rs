//! The ledger moves with the database: noted before the swap, handed over after it, and settled by the next run if this
//! one did not get there.

use std::path::Path;

use nexus_cli::failure::{Failure, Result};
use nexus_fs::lock::Lock;
use nexus_ledger::carry_out_alone;
use nexus_ledger::handover::{self, Comes, Files};
use nexus_ledger::kept::{self, Kept};
use nexus_postgres::blocking::Control;

use crate::APPLICATION;
use crate::apply::forget::PATIENCE;
use crate::apply::merged::Merged;
use crate::rollback::databases;

/// A ledger that will be handed over, and the right to do it.
pub(crate) struct Handing {
    files: Files,
    merged: Merged,
    _alone: Lock,
    /// `None` once it could not be returned.
    lock: Option<Lock>,
}

impl Handing {
    /// With both locks of the ledger at `path`.
    pub(crate) fn new(path: &Path, alone: Lock, lock: Lock, merged: Merged) -> Self {
        Self { files: Files::of(path), merged, _alone: alone, lock: Some(lock) }
    }

    /// Notes it, before database `comes` gets the name `database` and what had that name is kept as `kept`.
    ///
    /// # Errors
    /// I/O, or the server's.
    pub(crate) fn note(
        &self,
        control: &Control,
        comes: &str,
        database: &str,
        kept: Option<&str>,
    ) -> Result<()> {
        if let Some(kept) = kept {
            let kept = Kept { database: kept.to_owned(), foreign: self.merged.foreign.clone() };
            kept::keep(&self.files, &kept, &self.merged.before)?;
        }
        if !self.merged.changes() {
            return Ok(());
        }
        let row = control.row(
            "noting which database the purge ledger is for",
            "SELECT oid, (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) \
             FROM pg_catalog.pg_database WHERE datname = $1",
            &[&comes],
        )?;
        let comes = Comes { database: database.to_owned(), oid: row.get(0), cluster: row.get(1) };
        handover::prepare(&self.files, &comes, &self.merged.after)
    }

    /// Hands the ledger over: the database is in place. The locks stay until this is dropped.
    ///
    /// # Errors
    /// I/O; the next run does it then.
    pub(crate) fn hand_over(&mut self) -> Result<()> {
        if let Some(lock) = self.lock.take_if(|_| self.merged.changes()) {
            self.lock =
                Some(handover::complete(&self.files, lock).map_err(|failure| after_the_swap(&failure))?);
        }
        Ok(())
    }

    /// After a failed swap: hands the ledger over or drops it, as the server says, if it answers.
    pub(crate) fn after_a_failure(self, control: &Control) {
        let Some(lock) = self.lock else { return };
        if let Err(failure) = settle_with(&self.files, control, lock) {
            log::warn!("{failure}. To finish it: nexus-restore finish");
        }
    }
}

/// The failure when the database is in place, but not its ledger.
fn after_the_swap(failure: &Failure) -> Failure {
    let what = "the databases are swapped, but the purge ledger of the new database is not in place";
    Failure::new(failure.exit(), what)
        .because(failure.to_string())
        .advise("Correct the cause, then run: nexus-restore finish")
}

/// Settles the handover that a killed restore has left for the ledger at `path`. The caller holds the lock of restores.
///
/// # Errors
/// TryLater (75) while another process holds the ledger; I/O, or the server's.
pub(crate) fn settle(path: &Path, control: &Control) -> Result<()> {
    if handover::pending(path)?.is_none() {
        return handover::sweep(&Files::of(path));
    }
    let _alone = carry_out_alone(path, APPLICATION, PATIENCE)?;
    let lock = Lock::take_within(path.parent().unwrap_or(Path::new("/")), APPLICATION, PATIENCE)?;
    settle_with(&Files::of(path), control, lock)
}

fn settle_with(files: &Files, control: &Control, lock: Lock) -> Result<()> {
    let Some(comes) = handover::pending(&files.ledger)? else { return Ok(()) };
    let row = control.row(
        "asking which database has its place",
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE oid = $1 AND datname = $2) \
         AND (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) = $3",
        &[&comes.oid, &comes.database, &comes.cluster],
    )?;
    if row.get(0) {
        drop(handover::complete(files, lock)?);
        log::info!("a restore ended after the swap: put the purge ledger of the new database in place");
    } else {
        handover::abandon(files)?;
        log::info!("a restore ended before the swap: the purge ledger stays unchanged");
    }
    Ok(())
}

/// Removes the ledgers of kept databases that no longer exist.
///
/// # Errors
/// I/O, or the server's.
pub(crate) fn sweep(path: &Path, control: &Control) -> Result<()> {
    let files = Files::of(path);
    let all = kept::all(&files)?;
    let there = if all.is_empty() { Vec::new() } else { databases(control)? };
    for kept in all.iter().filter(|kept| !there.contains(&kept.database)) {
        kept::forget(&files, &kept.database)?;
    }
    Ok(())
}
