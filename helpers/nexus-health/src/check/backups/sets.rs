//! Checks the sets: the right directory, no lost rows, possible dates.

use jiff::Timestamp;
use nexus_backup_set::directory::{BackupDirectory, SetEntry};
use nexus_backup_set::home::Homes;
use nexus_backup_set::name::SetName;
use nexus_backup_set::rotation::{Known, missing_from_newest, missing_rows, missing_rows_advice};

use crate::finding::Finding;

/// The seconds by which a clock may have been ahead before it was corrected.
const AHEAD: f64 = 3600.0;

/// Reports whether the directory is the one that sets were written to.
pub(super) fn home(homes: &Homes, directory: &BackupDirectory) -> Finding {
    let id = "backup-directory";
    match homes.require(directory) {
        Ok(()) => Finding::ok(id, "The backup directory is the one that sets were written to."),
        Err(failure) => Finding::critical(
            id,
            format!("nexus-backup writes nothing: {failure}"),
            "Mount the disk of the backup directory (findmnt, lsblk); then: systemctl start nexus-backup",
        ),
    }
}

/// Reports whether the newest set holds as much as those before it.
pub(super) fn rows(names: &[SetName], known: &Known) -> Finding {
    let id = "backup-rows";
    let (Some(newest), Some(reference)) = (names.last(), missing_from_newest(names, known)) else {
        return Finding::ok(id, "The newest backup is not far smaller than older ones.");
    };
    let mut sentence = missing_rows(*newest, reference, &known.sizes);
    // It begins with a lower-case letter, because nexus-backup prints it after its name.
    sentence.replace_range(..1, "S");
    Finding::critical(
        id,
        format!("{sentence}. Rotation keeps every set that still has the missing rows."),
        missing_rows_advice(reference),
    )
}

/// Reports whether the date of the newest set is possible.
pub(super) fn date(sets: &[SetEntry]) -> Finding {
    let id = "backup-clock";
    match sets.last().filter(|set| is_in_future(set.name.taken)) {
        None => Finding::ok(id, "The date of the newest backup is not in the future."),
        Some(set) => Finding::warning(
            id,
            format!("The date of the newest backup, {}, is in the future.", set.name),
            "The clock was wrong then, or is wrong now. Check it: timedatectl; then make a backup with the right date: \
             systemctl start nexus-backup",
        ),
    }
}

/// Returns whether `at` is later than a correct clock can show.
pub(super) fn is_in_future(at: Timestamp) -> bool {
    at.duration_since(Timestamp::now()).as_secs_f64() > AHEAD
}

#[cfg(test)]
mod tests {
    use nexus_backup_set::size::Size;

    use super::*;
    use crate::level::FindingLevel;

    fn set(sequence: u64, days: i64) -> SetName {
        SetName::new(sequence, Timestamp::now() + jiff::SignedDuration::from_hours(24 * days))
    }

    #[test]
    fn a_date_in_the_future_is_a_warning_and_a_small_step_back_is_not() {
        let entry = |days| SetEntry { name: set(1, days), path: "/".into() };
        assert_eq!(date(&[entry(0)]).level, FindingLevel::Ok);
        assert_eq!(date(&[entry(3650), entry(0)]).level, FindingLevel::Ok);
        assert_eq!(date(&[entry(0), entry(3650)]).level, FindingLevel::Warning);
    }

    #[test]
    fn a_set_that_lacks_most_rows_is_critical() {
        let names = [set(1, -2), set(2, -1)];
        let mut known = Known::default();
        known.sizes.insert(names[0], Size { rows: 5004, episodes: 5000, forgotten: 0 });
        assert_eq!(rows(&names, &known).level, FindingLevel::Ok);
        known.sizes.insert(names[1], Size { rows: 4, episodes: 0, forgotten: 0 });
        let found = rows(&names, &known);
        assert_eq!(found.level, FindingLevel::Critical);
        assert!(found.sentence.starts_with("Set 000002-"), "{}", found.sentence);
    }
}
