//! Rotation: the plan says which sets have become too old, this removes them.

use std::fs;
use std::path::Path;

use nexus_core::failure::{OrFailIo, Result};
use nexus_core::journal::message_id;
use nexus_core::set::directory::{BackupDirectory, SetEntry};
use nexus_core::set::proof;
use nexus_core::set::rotation::{Decision, decide};

use crate::args::Args;

/// What rotation makes of every set in the directory, oldest first.
///
/// # Errors
/// I/O.
pub(crate) fn plan(directory: &BackupDirectory, args: &Args) -> Result<Vec<(SetEntry, Decision)>> {
    let sets = directory.sets()?;
    let names: Vec<_> = sets.iter().map(|set| set.name).collect();
    let proven = proof::proven(&args.proofs_dir, &names)?;
    let decisions = if directory.newest_failed() {
        vec![Decision::KeepAfterFailure; sets.len()]
    } else {
        decide(&names, &proven, args.retention)
    };
    Ok(sets.into_iter().zip(decisions).collect())
}

/// Removes the sets that the plan names.
///
/// # Errors
/// I/O; what was not removed is tried again next time.
pub(crate) fn rotate(directory: &BackupDirectory, args: &Args) -> Result<Vec<SetEntry>> {
    let mut removed = Vec::new();
    for (set, decision) in plan(directory, args)? {
        if decision != Decision::Remove {
            continue;
        }
        directory.remove(&set)?;
        log::info!(
            MESSAGE_ID = message_id::SET_ROTATED, NEXUS_JOB = "backup", NEXUS_BACKUP = set.name.to_string().as_str();
            "removed set {}, older than {} days", set.name, args.retention.days
        );
        removed.push(set);
    }
    Ok(removed)
}

/// Removes what killed runs left; the caller holds the lock.
///
/// # Errors
/// I/O.
pub(crate) fn sweep(directory: &BackupDirectory) -> Result<()> {
    for path in directory.leftovers()? {
        remove(&path)?;
        log::info!(
            MESSAGE_ID = message_id::PARTIAL_SWEPT, NEXUS_JOB = "backup";
            "removed {}, which a run that was killed had left", path.display()
        );
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_dir_all(path).or_fail_io(|| format!("removing {}", path.display()))
}
