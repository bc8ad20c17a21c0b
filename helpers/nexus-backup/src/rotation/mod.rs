//! Rotation: the plan says which sets have become too old, this removes them.

mod plan;

use std::fs;
use std::path::Path;

use nexus_core::failure::{OrFailIo, Result};
use nexus_core::journal::message_id;
use nexus_core::set::directory::{BackupDirectory, SetEntry};
use nexus_core::set::proof;

use crate::args::Args;
use crate::staging::sync_directory;

pub(crate) use plan::{Decision, Retention};

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
        plan::decide(&names, &proven, args.retention())
    };
    Ok(sets.into_iter().zip(decisions).collect())
}

/// Removes the sets that the plan names. The name goes first, so that no half-removed set looks complete.
///
/// # Errors
/// I/O; what was not removed is tried again next time.
pub(crate) fn rotate(directory: &BackupDirectory, args: &Args) -> Result<Vec<SetEntry>> {
    let mut removed = Vec::new();
    for (set, decision) in plan(directory, args)? {
        if decision != Decision::Remove {
            continue;
        }
        let hidden = directory.path().join(format!(".{}.removing", set.name));
        fs::rename(&set.path, &hidden)
            .or_fail_io(|| format!("removing the old set {}", set.path.display()))?;
        sync_directory(directory.path())?;
        remove(&hidden)?;
        log::info!(
            MESSAGE_ID = message_id::SET_ROTATED, NEXUS_JOB = "backup", NEXUS_BACKUP = set.name.to_string().as_str();
            "removed set {}, older than {} days", set.name, args.keep_days
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
