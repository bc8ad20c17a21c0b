//! Chooses the set to test.

use nexus_backup_set::directory::{BackupDirectory, SetEntry};
use nexus_backup_set::home::Homes;
use nexus_backup_set::locate::find_set;
use nexus_backup_set::proof;
use nexus_cli::failure::{Exit, Failure, Result};

use crate::args::Args;

/// Chooses the set on the command line; else the newest that is not proven; else the newest.
///
/// # Errors
/// Usage (64) if that set does not exist; Unavailable (69) if there is no set; Settings (78) if the directory is not the one
/// that sets were written to.
pub(crate) fn choose(args: &Args) -> Result<SetEntry> {
    let is_path = args.set.as_ref().is_some_and(|id| id.contains('/'));
    if !is_path {
        // Proofs are filed by set number: a set in another directory could have the number of one here.
        Homes::of_this_machine().require(&BackupDirectory::at(&args.backup_dir)?)?;
    }
    if let Some(id) = &args.set {
        return find_set(&args.backup_dir, id);
    }
    let mut sets = BackupDirectory::at(&args.backup_dir)?.sets()?;
    let unproven = sets.iter().rposition(|set| !is_proven(args, set));
    let index = unproven.or_else(|| sets.len().checked_sub(1)).ok_or_else(|| {
        Failure::new(Exit::Unavailable, format!("looking for a set in {}", args.backup_dir.display()))
            .because("there is none")
            .advise("Make the first one with: systemctl start nexus-backup")
    })?;
    Ok(sets.swap_remove(index))
}

/// Returns whether a set is proven. A set with an unreadable proof is not: a new test replaces the proof.
fn is_proven(args: &Args, set: &SetEntry) -> bool {
    match proof::read(&args.proofs_dir, set.name) {
        Ok(proof) => proof.is_some_and(|proof| proof.proven),
        Err(failure) => {
            log::warn!("{failure}");
            false
        }
    }
}
