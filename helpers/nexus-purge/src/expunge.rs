//! `--expunge`: removes the backup sets that still hold something forgotten, before rotation would.

use nexus_backup_set::home::Homes;
use nexus_backup_set::in_use;
use nexus_backup_set::rotation::{missing_from_newest, missing_rows, missing_rows_advice};
use nexus_cli::confirm::confirm;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::journal::message_id;
use nexus_cli::text::counted;
use nexus_fs::lock::Lock;
use nexus_ledger::{Keys, read};
use serde::Serialize;

use crate::APPLICATION;
use crate::args::Args;
use crate::ledger_view::{Sets, done};

/// What was, or would be, removed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Expunged {
    /// Sets, the oldest first.
    pub(crate) sets: Vec<String>,
    /// The newest of them that a restore has proven, when no set that stays is proven.
    pub(crate) only_proven: Option<String>,
    /// Sets that stay.
    pub(crate) stay: u64,
}

/// Removes the sets that hold something forgotten, after asking.
///
/// # Errors
/// TryLater (75) when a decision is not carried out, or no newer set is there; Usage (64) when the answer is not yes; I/O.
pub(crate) fn expunge(args: &Args) -> Result<Expunged> {
    let ledger = read(&args.purge_ledger, &Keys::read()?)?;
    let doing = "removing the backup sets that hold something forgotten";
    if !ledger.open().is_empty() {
        return Err(Failure::new(Exit::TryLater, doing)
            .because("the ledger has decisions that are not carried out yet")
            .advise("Carry them out first: systemctl start nexus-purge"));
    }
    let sets = Sets::read(args)?;
    Homes::of_this_machine().require(&sets.directory)?;
    let _lock = (!args.dry_run).then(|| Lock::take(sets.directory.path(), APPLICATION)).transpose()?;
    let last = ledger.lines().iter().filter_map(|line| done(&ledger, line)).map(|(at, _)| at).max();
    let (goes, stays) = sets.there.split_at(last.map_or(0, |last| sets.with_row_of(last)));
    let newest_proven = goes.iter().rfind(|set| sets.known.proven.contains(&set.name));
    let only_proven =
        newest_proven.filter(|_| !stays.iter().any(|set| sets.known.proven.contains(&set.name)));
    let expunged = Expunged {
        sets: goes.iter().map(|set| set.name.to_string()).collect(),
        only_proven: only_proven.map(|set| set.name.to_string()),
        stay: stays.len() as u64,
    };
    if goes.is_empty() || args.dry_run {
        return Ok(expunged);
    }
    if stays.is_empty() {
        return Err(Failure::new(Exit::TryLater, doing)
            .because("every set holds something forgotten, so there would be no backup left")
            .advise("First make a new set: systemctl start nexus-backup"));
    }
    if let (Some(newest), Some(reference)) =
        (sets.names.last(), missing_from_newest(&sets.names, &sets.known))
    {
        // Only the old sets still hold an emptied memory.
        return Err(Failure::new(Exit::TryLater, doing)
            .because(missing_rows(*newest, reference, &sets.known.sizes))
            .advise(missing_rows_advice(reference)));
    }
    confirm(&expunged.question(), args.yes)?;
    for set in goes {
        let Some(_claimed) = in_use::claim(&set.path)? else {
            return Err(Failure::new(Exit::TryLater, doing)
                .because(format!("set {} is being restored", set.name))
                .advise("Wait until the restore has ended, then run the command again"));
        };
        sets.directory.remove(set)?;
        log::info!(
            MESSAGE_ID = message_id::SET_EXPUNGED, NEXUS_JOB = "purge", NEXUS_BACKUP = set.name.to_string().as_str();
            "removed set {}, which held something that was forgotten since", set.name
        );
    }
    if let Some(set) = &expunged.only_proven {
        log::warn!(
            "set {set} was the only one that a restore had proven: systemctl start nexus-restore-test proves the newest"
        );
    }
    Ok(expunged)
}

impl Expunged {
    fn question(&self) -> String {
        let proven = self.only_proven.as_ref().map_or_else(String::new, |set| {
            format!(" Set {set} is the only one that a restore has proven: none of those that stay is.")
        });
        format!(
            "{} will be removed for good: {}. {} newer will stay.{proven}",
            counted(self.sets.len() as u64, "backup set"),
            self.sets.join(", "),
            self.stay
        )
    }

    /// Formats it for people.
    pub(crate) fn to_text(&self, is_dry: bool) -> String {
        if self.sets.is_empty() {
            return "No backup set holds anything that was forgotten.\n".to_owned();
        }
        let word = if is_dry { "would be removed" } else { "removed" };
        self.sets.iter().fold(String::new(), |text, set| text + &format!("{word}: {set}\n"))
    }
}
