//! Hands the purge ledger over with the database. The restore records the new ledger before the swap and puts it in place
//! after it. If the restore is killed in between, the next run completes or cancels the handover.

use std::path::Path;

use nexus_cli::failure::{Failure, Result};
use nexus_fs::lock::Lock;
use nexus_ledger::carry_out_alone;
use nexus_ledger::handover::{self, Files, NewDatabase};
use nexus_ledger::kept::{self, Kept};
use nexus_postgres::blocking::Control;

use crate::APPLICATION;
use crate::apply::forget::LOCK_TIMEOUT;
use crate::apply::merged::Merged;
use crate::rollback::databases;

/// A pending handover, with the ledger's locks.
pub(crate) struct Handover {
    files: Files,
    merged: Merged,
    _alone: Lock,
    /// `None` after a failed handover, which consumes it.
    lock: Option<Lock>,
}

impl Handover {
    /// Takes over both locks of the ledger at `path`.
    pub(crate) fn new(path: &Path, alone: Lock, lock: Lock, merged: Merged) -> Self {
        Self { files: Files::of(path), merged, _alone: alone, lock: Some(lock) }
    }

    /// Records the handover. The swap then renames database `new` to `database`, and keeps the old database as `kept`.
    pub(crate) fn note(
        &self,
        control: &Control,
        new: &str,
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
            "recording which database the purge ledger is for",
            "SELECT oid, (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) \
             FROM pg_catalog.pg_database WHERE datname = $1",
            &[&new],
        )?;
        let new = NewDatabase { database: database.to_owned(), oid: row.get(0), cluster: row.get(1) };
        handover::prepare(&self.files, &new, &self.merged.after)
    }

    /// Puts the ledger in place, after the swap. Dropping this releases the locks.
    ///
    /// # Errors
    /// I/O. The next run then completes the handover.
    pub(crate) fn hand_over(&mut self) -> Result<()> {
        if let Some(lock) = self.lock.take_if(|_| self.merged.changes()) {
            self.lock =
                Some(handover::complete(&self.files, lock).map_err(|failure| after_the_swap(&failure))?);
        }
        Ok(())
    }

    /// After a failed swap, completes or cancels the handover: the server knows whether the databases were renamed.
    pub(crate) fn after_a_failure(self, control: &Control) {
        let Some(lock) = self.lock else { return };
        if let Err(failure) = settle_with(&self.files, control, lock) {
            log::warn!("{failure}. To finish it: nexus-restore finish");
        }
    }
}

/// Makes the failure for a database that is in place without its ledger.
fn after_the_swap(failure: &Failure) -> Failure {
    let what = "the databases are swapped, but the purge ledger of the new database is not in place";
    Failure::new(failure.exit(), what)
        .because(failure.to_string())
        .advise("Correct the cause, then run: nexus-restore finish")
}

/// Completes or cancels the handover that a killed restore has left for the ledger at `path`. The caller holds the lock of
/// restores.
///
/// # Errors
/// TryLater (75) while another process holds the ledger.
pub(crate) fn settle(path: &Path, control: &Control) -> Result<()> {
    if handover::pending(path)?.is_none() {
        return handover::sweep(&Files::of(path));
    }
    let _alone = carry_out_alone(path, APPLICATION, LOCK_TIMEOUT)?;
    let lock = Lock::take_within(path.parent().unwrap_or(Path::new("/")), APPLICATION, LOCK_TIMEOUT)?;
    settle_with(&Files::of(path), control, lock)
}

fn settle_with(files: &Files, control: &Control, lock: Lock) -> Result<()> {
    let Some(new) = handover::pending(&files.ledger)? else { return Ok(()) };
    let row = control.row(
        "checking whether the database is in place",
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE oid = $1 AND datname = $2) \
         AND (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) = $3",
        &[&new.oid, &new.database, &new.cluster],
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
pub(crate) fn sweep(path: &Path, control: &Control) -> Result<()> {
    let files = Files::of(path);
    let all = kept::all(&files)?;
    let there = if all.is_empty() { Vec::new() } else { databases(control)? };
    for kept in all.iter().filter(|kept| !there.contains(&kept.database)) {
        kept::forget(&files, &kept.database)?;
    }
    Ok(())
}
