//! The steps that make the new database, in order, and put it in its place.

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
use crate::handing::Handing;
use crate::rollback::databases;

/// What came of it.
pub(crate) struct Built {
    pub(crate) compared: Compared,
    /// Rows that had been forgotten since the set was taken, and were forgotten again.
    pub(crate) forgotten: Forgotten,
    /// Name of the database that was there before.
    pub(crate) kept: Option<String>,
    /// Name of the set that was made of it.
    pub(crate) safety_backup: Option<String>,
    /// Redis's snapshot, compared and ready to be sent.
    pub(crate) redis: Option<Box<dyn Read + Send>>,
    /// The ledger that comes with it. No program forgets anything until both are in place.
    pub(crate) ledger: Option<Handing>,
    /// Whether indexes are to be built now that the database serves.
    pub(crate) is_left: bool,
}

/// Restores beside the living database, compares, and swaps.
///
/// # Errors
/// The first step's that fails; the living database is as it was then.
pub(crate) fn beside(restore: &mut Restore<'_>, control: &Control, plan: Plan) -> Result<Built> {
    if restore.args.serve_early {
        restore.making.fill_rows(control, plan.server_version)?;
        restore.making.step("post-data", early::post_data)?;
    } else {
        restore.making.fill(control, plan.server_version)?;
    }
    let compared = restore.making.step("compare", compare::all)?;
    restore.making.step("statistics", database::analyze)?;
    let is_left = early::is_left(&restore.making)?;
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
    let ledger = restore.step("forget the newest", |restore| forget::hold(restore, &mut forgotten))?;
    let (kept, ledger) = restore.step("swap", |restore| into_place(restore, control, plan, ledger))?;
    Ok(Built { compared, forgotten, kept, safety_backup, redis, ledger, is_left })
}

/// What came of the second step.
pub(crate) struct Served {
    /// Microseconds until the database had its place.
    pub(crate) usec: u64,
    /// Indexes that were built after that.
    pub(crate) indexes: u64,
}

/// Builds what was left to be built, now that the database serves; nothing when nothing was left. A set that was made while
/// something was unbuilt brings that along, also without `--serve-early`.
///
/// # Errors
/// As [`early::build`]; the database has its place then, and says what is left.
pub(crate) fn second_step(restore: &mut Restore<'_>) -> Result<Option<Served>> {
    let usec = restore.making.steps.iter().map(|step| step.usec).sum();
    let (server, target) = (&restore.making.server, &restore.target);
    if restore.args.serve_early {
        log::info!(
            NEXUS_JOB = "restore", NEXUS_BACKUP = restore.making.set.name.to_string().as_str(), NEXUS_USEC = usec;
            "database {} serves; its vector indexes are built meanwhile, and until then searches by meaning are exact and slower. \
             Should this be broken off, go on with: {}",
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
            "the database was restored and has its place, but not all of its vector indexes are built",
        )
        .because(failure.to_string())
        .advise(format!(
            "Searches by meaning are exact and slower until then. Build them with: {}",
            finish(target)
        ))
    })?;
    if indexes == 0 {
        return Ok(None);
    }
    restore.making.took("vector indexes", began);
    Ok(Some(Served { usec, indexes }))
}

/// What a person types to go on with the second step.
fn finish(target: &str) -> String {
    format!("nexus-restore finish --pg-database '{}'", printable(target).replace('\'', r"'\''"))
}

/// Gives the new database its name, and notes the ledger that comes with it; returns the name under which the old one is
/// kept.
fn into_place(
    restore: &mut Restore<'_>,
    control: &Control,
    plan: Plan,
    ledger: Option<Handing>,
) -> Result<(Option<String>, Option<Handing>)> {
    // From here on it cannot be stopped.
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
