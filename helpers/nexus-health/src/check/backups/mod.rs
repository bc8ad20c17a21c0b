//! Backups: how old the newest set and the newest proven set are, whether rotation keeps up, whether the next one fits.

mod kept;
mod lock;

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use nexus_backup_set::directory::{BackupDirectory, Last, SetEntry};
use nexus_backup_set::home::Homes;
use nexus_backup_set::proof::{self, Verdict};
use nexus_backup_set::rotation::{Known, RotationDecision, decide, keep_redis};
use nexus_cli::failure::Result;
use nexus_cli::progress::human_bytes;
use nix::sys::statvfs::statvfs;

use crate::check::postgres::in_words;
use crate::finding::{Finding, Metric};
use crate::look::{Check, Ctx, Fact, Look};

/// A backup that has begun is given a day before it is said not to have ended.
const DAY: Duration = Duration::from_secs(86_400);

/// Looks at the directory and at the proofs; what is in a set it cannot read.
pub(crate) struct Backups;

impl Check for Backups {
    fn look(&mut self, ctx: &Ctx) -> Look {
        let mut look = Look::default();
        if let Err(failure) = see(ctx, &mut look) {
            let advice = "Without it there are no backups: is the disk mounted, and whose is the directory?";
            look.found(Finding::critical(
                "backups",
                format!("The backups cannot be looked at: {failure}"),
                advice,
            ));
        }
        look
    }
}

fn see(ctx: &Ctx, look: &mut Look) -> Result<()> {
    let directory = BackupDirectory::at(&ctx.args.backup_dir)?;
    let sets = directory.sets()?;
    let count = sets.len();
    look.found(Finding::ok("backups", format!("{count} backup sets are in {}.", directory.path().display())));
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    look.metric(Metric::one("backup_sets", "Complete backup sets.", count as f64));
    let is_running = lock::is_held(&directory.path().join(".lock"));
    let names: Vec<_> = sets.iter().map(|set| set.name).collect();
    // A proof that cannot be read is a finding of its own.
    let known = Known::read(&directory, &ctx.args.proofs_dir, &names).unwrap_or_default();
    look.found(kept::home(&Homes::of_this_machine(), &directory));
    look.found(kept::date(&sets));
    look.found(kept::rows(&names, &known));
    newest(&sets, ctx, look);
    proven(&sets, ctx, look);
    look.found(last_run(&directory, is_running));
    look.found(rotation(&directory, &sets, &known, ctx, is_running));
    look.found(room(&directory, directory.last()?));
    // While one runs, its own directory is among them.
    let partial = if is_running { 0 } else { directory.leftovers()?.len() };
    look.facts.push(Fact::PartialSets(partial));
    Ok(())
}

/// Seconds since then; a time slightly in the future counts as now.
fn age(at: Timestamp) -> f64 {
    Timestamp::now().duration_since(at).as_secs_f64().max(0.0)
}

fn newest(sets: &[SetEntry], ctx: &Ctx, look: &mut Look) {
    let advice = "Take one: systemctl start nexus-backup; why there was none: journalctl -u nexus-backup";
    // A set with a date in the future may be of any age.
    let Some(set) = sets.iter().rfind(|set| !kept::is_to_come(set.name.taken)) else {
        let sentence = if sets.is_empty() {
            "There is no backup."
        } else {
            "Every backup has a date in the future, so their age is unknown."
        };
        // Installation takes the first one after it has started us.
        look.found(Finding::critical("backup-age", sentence, advice).patient(2));
        return;
    };
    let age = age(set.name.taken);
    look.metric(Metric::one("backup_newest_age_seconds", "Age of the newest complete backup set.", age));
    let sentence = format!("The newest backup is {} old.", in_words(age));
    look.found(Finding::measured("backup-age", age, ctx.args.thresholds.backup_age, sentence, advice));
}

/// Two things: what the newest restore test has found, and how long ago one was last proven.
fn proven(sets: &[SetEntry], ctx: &Ctx, look: &mut Look) {
    let advice = "Have it proven: systemctl start nexus-restore-test; why it was not: journalctl -u nexus-restore-test";
    let mut verdicts = Vec::new();
    for set in sets.iter().rev() {
        match proof::read(&ctx.args.proofs_dir, set.name) {
            Ok(verdict) => verdicts.extend(verdict),
            Err(failure) => {
                look.found(Finding::warning("proof", format!("A proof cannot be read: {failure}"), advice));
                return;
            }
        }
        if verdicts.last().is_some_and(|verdict| verdict.proven) {
            break;
        }
    }
    look.found(match verdicts.first() {
        Some(newest) if !newest.proven => {
            let sentence = format!("The restore test did not prove set {}.", newest.set);
            Finding::critical("proof", sentence, advice)
        }
        _ => Finding::ok("proof", "No restore test has failed since the last proof."),
    });
    let is_to_come = |verdict: &&Verdict| kept::is_to_come(verdict.at);
    let (age, sentence) = if let Some(verdict) = verdicts.last().filter(is_to_come) {
        let sentence = format!("The date of the proof of set {} is in the future.", verdict.set);
        (f64::INFINITY, sentence)
    } else if let Some(verdict) = verdicts.last().filter(|verdict| verdict.proven) {
        let age = age(verdict.at);
        let help = "Time since a backup set was last proven.";
        look.metric(Metric::one("backup_newest_proof_age_seconds", help, age));
        (age, format!("Set {} was proven {} ago.", verdict.set, in_words(age)))
    } else {
        // From the first set on, which is what is not proven.
        let age = sets.first().map_or(0.0, |set| age(set.name.taken));
        (age, "No backup set is proven yet.".to_owned())
    };
    look.found(Finding::measured("proof-age", age, ctx.args.thresholds.proof_age, sentence, advice));
}

fn last_run(directory: &BackupDirectory, is_running: bool) -> Finding {
    let id = "backup-last";
    match (directory.newest_failed(), is_running) {
        (false, _) => Finding::ok(id, "The last backup that was begun is complete."),
        (true, true) => Finding::ok(id, "A backup is being taken."),
        (true, false) => Finding::warning(
            id,
            "The last backup that was begun was not completed.",
            "See why: journalctl -u nexus-backup; try again: systemctl start nexus-backup",
        ),
    }
}

/// What should have gone and is still there: either backups fail, after which nothing goes, or removing does.
fn rotation(
    directory: &BackupDirectory,
    sets: &[SetEntry],
    known: &Known,
    ctx: &Ctx,
    is_running: bool,
) -> Finding {
    let id = "backup-rotation";
    let names: Vec<_> = sets.iter().map(|set| set.name).collect();
    let mut due = decide(&names, known, ctx.args.retention);
    keep_redis(sets, &mut due);
    let due = due.into_iter().filter(|decision| *decision == RotationDecision::Remove).count();
    let rested = sets.last().and_then(|set| set.path.metadata().ok()).and_then(|m| m.modified().ok());
    let rested = rested.and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default();
    // The next backup removes them; a day after the newest one had its chance.
    if due == 0 || is_running || (rested < DAY && !directory.newest_failed()) {
        return Finding::ok(id, "No set is kept longer than it should be.");
    }
    Finding::warning(
        id,
        format!("{due} sets are older than they should become, and rotation does not remove them."),
        "It removes nothing after a failed backup: journalctl -u nexus-backup; what it would do: nexus-backup \
         --rotate-only --dry-run",
    )
}

/// Whether the next set fits: as large as the last one, and a tenth more.
fn room(directory: &BackupDirectory, last: Last) -> Finding {
    let id = "backup-room";
    let free = match statvfs(directory.path()) {
        Ok(stat) => stat.blocks_available().saturating_mul(stat.fragment_size()),
        Err(error) => {
            return Finding::unknown(
                id,
                format!("How much is free for backups cannot be seen: {error}."),
                "",
            );
        }
    };
    let needed = last.set_bytes.saturating_add(last.set_bytes / 10);
    if free >= needed {
        return Finding::ok(id, format!("The next backup fits: {} are free.", human_bytes(free)));
    }
    Finding::critical(
        id,
        format!("The next backup needs about {} and free are {}.", human_bytes(needed), human_bytes(free)),
        "Free some space, keep fewer sets (NEXUS_KEEP_DAYS), or set NEXUS_BACKUP_DIR to a larger disk",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;

    #[test]
    fn a_backup_that_was_begun_and_not_completed_is_said_unless_it_runs() {
        let backups = tempfile::tempdir().unwrap();
        let directory = BackupDirectory::at(backups.path()).unwrap();
        assert_eq!(last_run(&directory, false).level, Level::Ok);
        directory.began().unwrap();
        assert_eq!(last_run(&directory, true).level, Level::Ok);
        assert_eq!(last_run(&directory, false).level, Level::Warning);
    }

    #[test]
    fn the_next_set_may_be_a_tenth_larger_than_the_last() {
        let backups = tempfile::tempdir().unwrap();
        let directory = BackupDirectory::at(backups.path()).unwrap();
        let last = |set_bytes| Last { sequence: 1, database_bytes: 1, set_bytes };
        assert_eq!(room(&directory, last(1000)).level, Level::Ok);
        assert_eq!(room(&directory, last(u64::MAX / 2)).level, Level::Critical);
    }
}
