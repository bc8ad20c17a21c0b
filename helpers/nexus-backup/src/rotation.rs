//! Carries out rotation: removes the sets that `nexus_backup_set::rotation::decide` finds too old.

use nexus_backup_set::directory::{BackupDirectory, SetEntry};
use nexus_backup_set::in_use;
use nexus_backup_set::name::SetName;
use nexus_backup_set::rotation::{
    Known, RotationDecision, decide, missing_from_newest, missing_rows, missing_rows_advice,
};
use nexus_backup_set::size::Size;
use nexus_cli::failure::Result;
use nexus_cli::journal::message_id;
use nexus_ledger::rows_gone;

use crate::args::Args;

/// Returns rotation's decision about every set in the directory, oldest first.
pub(crate) fn plan(directory: &BackupDirectory, args: &Args) -> Result<Vec<(SetEntry, RotationDecision)>> {
    let sets = directory.sets()?;
    let names: Vec<_> = sets.iter().map(|set| set.name).collect();
    let known = known(directory, args, &names, None)?;
    Ok(decided(directory, args, sets, &names, &known))
}

fn decided(
    directory: &BackupDirectory,
    args: &Args,
    sets: Vec<SetEntry>,
    names: &[SetName],
    known: &Known,
) -> Vec<(SetEntry, RotationDecision)> {
    let decisions = if directory.newest_failed() {
        vec![RotationDecision::KeepAfterFailure; sets.len()]
    } else {
        decide(names, known, args.retention)
    };
    sets.into_iter().zip(decisions).collect()
}

/// Collects what is known about the sets, including `new`.
fn known(
    directory: &BackupDirectory,
    args: &Args,
    names: &[SetName],
    new: Option<(SetName, Size)>,
) -> Result<Known> {
    let mut known = Known::read(directory, &args.proofs_dir, names)?
        .with_sizes_from_proofs(&args.proofs_dir, |by| rows_gone(&args.purge_ledger, Some(by)))?;
    known.sizes.extend(new);
    known.sizes.retain(|set, _| names.contains(set));
    known.reference = missing_from_newest(names, &known);
    Ok(known)
}

/// Removes the sets that are too old, except those with rows that the newest set lacks. `new` is the set just written.
///
/// # Errors
/// I/O. The next run tries again to remove the rest.
pub(crate) fn rotate(
    directory: &BackupDirectory,
    args: &Args,
    new: Option<(SetName, Size)>,
) -> Result<Vec<SetEntry>> {
    let sets = directory.sets()?;
    let names: Vec<_> = sets.iter().map(|set| set.name).collect();
    let known = known(directory, args, &names, new)?;
    remember(directory, &known);
    warn_of_missing_rows(&names, &known);
    let mut removed = Vec::new();
    for (set, decision) in decided(directory, args, sets, &names, &known) {
        if decision != RotationDecision::Remove {
            continue;
        }
        let Some(_claimed) = in_use::claim(&set.path)? else {
            log::info!(
                "set {} is old enough to be removed, but is being restored: a later run removes it",
                set.name
            );
            continue;
        };
        directory.remove(&set)?;
        log::info!(
            MESSAGE_ID = message_id::SET_ROTATED, NEXUS_JOB = "backup", NEXUS_BACKUP = set.name.to_string().as_str();
            "removed set {}, older than {} days", set.name, args.retention.days
        );
        removed.push(set);
    }
    Ok(removed)
}

/// Records the sizes of the sets for the next run and for nexus-health. A failure here is only logged.
fn remember(directory: &BackupDirectory, known: &Known) {
    let written = directory.remembered().and_then(|before| {
        let mut remembered = before.clone();
        remembered.set_sizes(&known.sizes);
        remembered.set_reference(known.reference);
        if remembered == before { Ok(()) } else { directory.remember(&remembered) }
    });
    if let Err(failure) = written {
        log::warn!("{failure}");
    }
}

fn warn_of_missing_rows(names: &[SetName], known: &Known) {
    let (Some(newest), Some(reference)) = (names.last(), known.reference) else { return };
    log::error!(
        MESSAGE_ID = message_id::ROWS_MISSING, NEXUS_JOB = "backup", NEXUS_BACKUP = newest.to_string().as_str(),
        NEXUS_MEASURE = reference.to_string().as_str();
        "{}. Rotation keeps every set that still has the missing rows. {}",
        missing_rows(*newest, reference, &known.sizes),
        missing_rows_advice(reference)
    );
}

/// Accepts that the newest set holds less than older ones; returns its name.
///
/// # Errors
/// Usage (64) if there is no set; I/O.
pub(crate) fn accept_smaller(directory: &BackupDirectory) -> Result<SetName> {
    let newest = directory.find("latest")?.name;
    let mut remembered = directory.remembered()?;
    remembered.accepted = newest.sequence;
    remembered.set_reference(None);
    directory.remember(&remembered)?;
    Ok(newest)
}
