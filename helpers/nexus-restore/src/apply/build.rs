//! The steps that build the new database, in order, and swap it in.

use std::io::Read;
use std::time::Instant;

use jiff::Timestamp;
use nexus_cli::failure::{Failure, Result};
use nexus_cli::text::printable;
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;
use nexus_restoring::compare::{self, Compared};
use nexus_restoring::{database, redis};

use crate::apply::forget::Forgotten;
use crate::apply::preflight::Plan;
use crate::apply::{Restore, forget, names, safety, swap};
use crate::early;
use crate::handover::Handover;
use crate::rollback::databases;

/// The result of building and swapping.
pub(crate) struct Built {
    pub(crate) compared: Compared,
    /// Rows that had been forgotten since the set was taken, and were forgotten again.
    pub(crate) forgotten: Forgotten,
    /// Name of the replaced database.
    pub(crate) kept: Option<String>,
    /// Name of the set that holds the replaced database.
    pub(crate) safety_backup: Option<String>,
    /// Redis's snapshot, checked and ready to send.
    pub(crate) redis: Option<Box<dyn Read + Send>>,
    /// The database's ledger. Its locks keep programs from forgetting anything until both are in place.
    pub(crate) ledger: Option<Handover>,
    /// Whether vector indexes are still unbuilt.
    pub(crate) has_unbuilt: bool,
}

/// Restores beside the live database, compares, and swaps.
///
/// # Errors
/// The first step's failure. The live database is then unchanged.
pub(crate) fn beside(restore: &mut Restore<'_>, control: &Control, plan: Plan) -> Result<Built> {
    if restore.args.serve_early {
        restore.making.fill_rows(control, plan.server_version)?;
        restore.making.step("post-data", early::post_data)?;
    } else {
        restore.making.fill(control, plan.server_version)?;
    }
    let compared = restore.making.step("compare", compare::all)?;
    restore.making.step("statistics", database::analyze)?;
    let has_unbuilt = early::has_unbuilt(&restore.making)?;
    let mut forgotten = restore.step("forget again", |restore| forget::again(restore, plan.replaces))?;
    restore.making.step("properties", |making| database::finish(making, control, plan.server_version))?;
    let redis = if plan.redis {
        Some(restore.making.step("check redis", |making| redis::check(making))?)
    } else {
        None
    };
    let safety_backup = if plan.replaces && !restore.args.no_safety_backup {
        Some(restore.step("safety backup", |restore| safety::back_up(restore))?)
    } else {
        None
    };
    let ledger = restore.step("forget the newest", |restore| forget::lock_ledger(restore, &mut forgotten))?;
    let (kept, ledger) = restore.step("swap", |restore| swap_in(restore, control, plan, ledger))?;
    Ok(Built { compared, forgotten, kept, safety_backup, redis, ledger, has_unbuilt })
}

/// The result of the second step.
pub(crate) struct Served {
    /// Time until the swap, in microseconds.
    pub(crate) usec: u64,
    /// Number of indexes built after the swap.
    pub(crate) indexes: u64,
}

/// Builds the unbuilt indexes after the swap; returns `None` if there were none. Also without `--serve-early`, because a set
/// that was backed up while indexes were unbuilt lacks them too.
///
/// # Errors
/// Those of [`early::build`]. The database is then in place and records the rest.
pub(crate) fn second_step(restore: &mut Restore<'_>) -> Result<Option<Served>> {
    let usec = restore.making.steps.iter().map(|step| step.usec).sum();
    let (server, target) = (&restore.making.server, &restore.target);
    if restore.args.serve_early {
        log::info!(
            NEXUS_JOB = "restore", NEXUS_BACKUP = restore.making.set.name.to_string().as_str(), NEXUS_USEC = usec;
            "database {} serves. Until its vector indexes are built, searches by meaning are exact but slower. \
             If the restore is interrupted, continue with: {}",
            printable(target),
            finish(target)
        );
    }
    let began = Instant::now();
    let built = early::build(server, target, restore.making.progress, restore.making.stop);
    let indexes = built.map_err(|failure| {
        let failure = restore.watch.explain(failure);
        Failure::new(
            failure.exit(),
            "the database is restored and in place, but not all of its vector indexes are built",
        )
        .because(failure.to_string())
        .advise(format!(
            "Until they are built, searches by meaning are exact but slower. Build them with: {}",
            finish(target)
        ))
    })?;
    if indexes == 0 {
        return Ok(None);
    }
    restore.making.took("vector indexes", began);
    Ok(Some(Served { usec, indexes }))
}

/// Returns the command that continues the second step.
fn finish(target: &str) -> String {
    format!("nexus-restore finish --pg-database '{}'", printable(target).replace('\'', r"'\''"))
}

/// Swaps the new database in and records its ledger. Returns the name under which the old database is kept, and the ledger.
fn swap_in(
    restore: &mut Restore<'_>,
    control: &Control,
    plan: Plan,
    ledger: Option<Handover>,
) -> Result<(Option<String>, Option<Handover>)> {
    // From here on the restore cannot be stopped.
    restore.watch.end()?;
    let taken = databases(control)?;
    let sequence = restore.making.set.name.sequence;
    let kept = plan
        .replaces
        .then(|| names::free(&taken, Timestamp::now(), |at| names::before(&restore.target, sequence, at)));
    let mut moves = Vec::new();
    if let Some(kept) = &kept {
        moves.push((restore.target.as_str(), kept.as_str()));
    }
    moves.push((restore.making.database.as_str(), restore.target.as_str()));
    let limit = format!(
        "ALTER DATABASE {} CONNECTION LIMIT {}",
        quote::identifier(&restore.target),
        restore.making.manifest.postgres.properties.connection_limit
    );
    if let Some(ledger) = &ledger {
        ledger.note(control, &restore.making.database, &restore.target, kept.as_deref())?;
    }
    let swapped = swap::rename(&restore.making.server, &moves, &limit, restore.making.stop);
    if let Err(failure) = swapped {
        if let Some(ledger) = ledger {
            ledger.after_a_failure(control);
        }
        return Err(failure);
    }
    Ok((kept, ledger))
}
