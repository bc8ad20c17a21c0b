//! Backups: the age of the newest set and of the newest proof, whether rotation keeps up, whether the next set fits.

mod sets;

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use nexus_backup_set::directory::{BackupDirectory, Last, SetEntry};
use nexus_backup_set::home::Homes;
use nexus_backup_set::proof::{self, Verdict};
use nexus_backup_set::rotation::{Known, RotationDecision, decide};
use nexus_cli::failure::Result;
use nexus_cli::progress::human_bytes;
use nexus_cli::text::counted;
use nexus_fs::lock::Lock;
use nix::sys::statvfs::statvfs;

use crate::check::postgres::in_words;
use crate::context::{Check, Context};
use crate::finding::{Finding, Metric};
use crate::report::{Fact, Report};

/// Rotation has a day to remove sets after the newest backup.
const DAY: Duration = Duration::from_secs(86_400);

/// Checks the directory and the proofs. It cannot decrypt a set.
pub(crate) struct Backups;

impl Check for Backups {
    fn check(&mut self, ctx: &Context) -> Report {
        let mut report = Report::default();
        if let Err(failure) = examine(ctx, &mut report) {
            let advice = "Check that the disk of the backup directory is mounted, and who owns the directory; until then there are no \
                          backups";
            report.found(Finding::critical(
                "backups",
                format!("The backups cannot be checked: {failure}"),
                advice,
            ));
        }
        report
    }
}

fn examine(ctx: &Context, report: &mut Report) -> Result<()> {
    let directory = BackupDirectory::at(&ctx.args.backup_dir)?;
    let sets = directory.sets()?;
    let count = sets.len();
    let sentence = format!(
        "The backup directory {} holds {}.",
        directory.path().display(),
        counted(count as u64, "backup set")
    );
    report.found(Finding::ok("backups", sentence));
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    report.metric(Metric::one("backup_sets", "Complete backup sets.", count as f64));
    let is_running = Lock::is_held(directory.path());
    let names: Vec<_> = sets.iter().map(|set| set.name).collect();
    // A proof that cannot be read is another finding.
    let known = Known::read(&directory, &ctx.args.proofs_dir, &names).unwrap_or_default();
    report.found(sets::home(&Homes::of_this_machine(), &directory));
    report.found(sets::date(&sets));
    report.found(sets::rows(&names, &known));
    newest(&sets, ctx, report);
    proven(&sets, ctx, report);
    report.found(last_run(&directory, is_running));
    report.found(rotation(&directory, &sets, &known, ctx, is_running));
    report.found(space(&directory, directory.last()?));
    // The directory of a running backup is one of them.
    let partial = if is_running { 0 } else { directory.leftovers()?.len() };
    report.facts.push(Fact::PartialSets(partial));
    Ok(())
}

/// Returns the seconds since `at`. A time slightly in the future counts as now.
fn age(at: Timestamp) -> f64 {
    Timestamp::now().duration_since(at).as_secs_f64().max(0.0)
}

fn newest(sets: &[SetEntry], ctx: &Context, report: &mut Report) {
    let advice =
        "Make a backup: systemctl start nexus-backup; see why there was none: journalctl -u nexus-backup";
    // A set with a date in the future may be of any age.
    let Some(set) = sets.iter().rfind(|set| !sets::is_in_future(set.name.taken)) else {
        let sentence = if sets.is_empty() {
            "There is no backup."
        } else {
            "Every backup has a date in the future, so their age is unknown."
        };
        // The installation starts nexus-health before it makes the first backup.
        report.found(Finding::critical("backup-age", sentence, advice).patient(2));
        return;
    };
    let age = age(set.name.taken);
    report.metric(Metric::one("backup_newest_age_seconds", "Age of the newest complete backup set.", age));
    let sentence = format!("The newest backup is {} old.", in_words(age));
    report.found(Finding::measured("backup-age", age, ctx.args.thresholds.backup_age, sentence, advice));
}

/// Reports the result of the newest restore test, and how long ago a set was proven.
fn proven(sets: &[SetEntry], ctx: &Context, report: &mut Report) {
    let advice = "Prove the newest set: systemctl start nexus-restore-test; see what the last test reported: journalctl -u \
                  nexus-restore-test";
    let mut verdicts = Vec::new();
    for set in sets.iter().rev() {
        match proof::read(&ctx.args.proofs_dir, set.name) {
            Ok(verdict) => verdicts.extend(verdict),
            Err(failure) => {
                report.found(Finding::warning("proof", format!("A proof cannot be read: {failure}"), advice));
                return;
            }
        }
        if verdicts.last().is_some_and(|verdict| verdict.proven) {
            break;
        }
    }
    report.found(match verdicts.first() {
        Some(newest) if !newest.proven => {
            let sentence = format!("The restore test did not prove set {}.", newest.set);
            Finding::critical("proof", sentence, advice)
        }
        Some(_) | None => Finding::ok("proof", "No restore test has failed since the last proof."),
    });
    let is_in_future = |verdict: &&Verdict| sets::is_in_future(verdict.at);
    let (age, sentence) = if let Some(verdict) = verdicts.last().filter(is_in_future) {
        let sentence = format!("The date of the proof of set {} is in the future.", verdict.set);
        (f64::INFINITY, sentence)
    } else if let Some(verdict) = verdicts.last().filter(|verdict| verdict.proven) {
        let age = age(verdict.at);
        let help = "Time since a backup set was last proven.";
        report.metric(Metric::one("backup_newest_proof_age_seconds", help, age));
        (age, format!("Set {} was proven {} ago.", verdict.set, in_words(age)))
    } else {
        // Counts from the oldest set.
        let age = sets.first().map_or(0.0, |set| age(set.name.taken));
        (age, "No backup set is proven yet.".to_owned())
    };
    report.found(Finding::measured("proof-age", age, ctx.args.thresholds.proof_age, sentence, advice));
}

fn last_run(directory: &BackupDirectory, is_running: bool) -> Finding {
    let id = "backup-last";
    match (directory.newest_failed(), is_running) {
        (false, _) => Finding::ok(id, "The last backup is complete."),
        (true, true) => Finding::ok(id, "A backup is running."),
        (true, false) => Finding::warning(
            id,
            "The last backup did not complete.",
            "See why the backup failed: journalctl -u nexus-backup; try again: systemctl start nexus-backup",
        ),
    }
}

/// Reports sets that rotation should have removed. Either backups fail, and then it removes nothing, or the removal does.
fn rotation(
    directory: &BackupDirectory,
    sets: &[SetEntry],
    known: &Known,
    ctx: &Context,
    is_running: bool,
) -> Finding {
    let id = "backup-rotation";
    let names: Vec<_> = sets.iter().map(|set| set.name).collect();
    let due = decide(&names, known, ctx.args.retention)
        .into_iter()
        .filter(|decision| *decision == RotationDecision::Remove)
        .count() as u64;
    let rested = sets.last().and_then(|set| set.path.metadata().ok()).and_then(|m| m.modified().ok());
    let rested = rested.and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default();
    // The next backup removes them, at most a day after the newest one.
    if due == 0 || is_running || (rested < DAY && !directory.newest_failed()) {
        return Finding::ok(id, "No set is kept longer than it should be.");
    }
    Finding::warning(
        id,
        format!("Rotation has not removed {} that the settings no longer keep.", counted(due, "set")),
        "Rotation removes nothing after a failed backup. See why it failed: journalctl -u nexus-backup; see what rotation \
         would remove: nexus-backup --rotate-only --dry-run",
    )
}

/// Reports whether the next set fits, if it is a tenth larger than the last.
fn space(directory: &BackupDirectory, last: Last) -> Finding {
    let id = "backup-room";
    let free = match statvfs(directory.path()) {
        Ok(stat) => stat.blocks_available().saturating_mul(stat.fragment_size()),
        Err(error) => {
            return Finding::unknown(id, format!("The free space for backups cannot be read: {error}"), "");
        }
    };
    let needed = last.set_bytes.saturating_add(last.set_bytes / 10);
    if free >= needed {
        return Finding::ok(id, format!("The next backup fits: {} are free.", human_bytes(free)));
    }
    Finding::critical(
        id,
        format!("The next backup needs about {}, and {} are free.", human_bytes(needed), human_bytes(free)),
        "Free some space on the disk of the backups; or, in /etc/nexus/nexus.env, keep fewer sets (NEXUS_KEEP_DAYS); or move the \
         directory to a larger disk (NEXUS_BACKUP_DIR, then: nexus-setup)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    fn an_incomplete_backup_is_a_warning_unless_it_runs() {
        let backups = tempfile::tempdir().unwrap();
        let directory = BackupDirectory::at(backups.path()).unwrap();
        assert_eq!(last_run(&directory, false).level, FindingLevel::Ok);
        directory.began().unwrap();
        assert_eq!(last_run(&directory, true).level, FindingLevel::Ok);
        assert_eq!(last_run(&directory, false).level, FindingLevel::Warning);
    }

    #[test]
    fn the_next_set_may_be_a_tenth_larger_than_the_last() {
        let backups = tempfile::tempdir().unwrap();
        let directory = BackupDirectory::at(backups.path()).unwrap();
        let last = |set_bytes| Last { sequence: 1, database_bytes: 1, set_bytes };
        assert_eq!(space(&directory, last(1000)).level, FindingLevel::Ok);
        assert_eq!(space(&directory, last(u64::MAX / 2)).level, FindingLevel::Critical);
    }
}
