//! Which sets have become too old: a pure plan, then the removal.
//!
//! Sets are ordered by sequence number. A set's age is the time that passed from set to set after it, where a
//! step back of the clock counts as nothing and one leap no more than twice the usual distance between sets: a clock
//! that jumps by years ages no set by years.

use std::fs;
use std::path::Path;

use jiff::SignedDuration;
use nexus_core::failure::{OrFailIo, Result};
use nexus_core::journal::message_id;
use nexus_core::set::directory::{BackupDirectory, SetEntry};

use crate::staging::sync_directory;

/// How long sets are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Days.
    pub(crate) days: u32,
    /// Sets that are kept whatever their age.
    pub(crate) at_least: u32,
}

/// One distance between neighbouring sets always counts in full up to this.
const ALWAYS_PLAUSIBLE: SignedDuration = SignedDuration::from_hours(48);

/// The sets to remove, oldest first; `sets` are ordered by sequence number.
pub(crate) fn plan(sets: &[SetEntry], retention: Retention) -> Vec<SetEntry> {
    let keep_for = SignedDuration::from_hours(24 * i64::from(retention.days));
    let steps: Vec<SignedDuration> = sets
        .windows(2)
        .map(|pair| pair[1].name.taken.duration_since(pair[0].name.taken).max(SignedDuration::ZERO))
        .collect();
    let mut sorted = steps.clone();
    sorted.sort_unstable();
    let usual = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    let longest_step = (usual * 2).max(ALWAYS_PLAUSIBLE);

    let may_go = sets.len().saturating_sub(retention.at_least.max(1) as usize);
    let mut age = SignedDuration::ZERO;
    let mut old = Vec::new();
    for (index, set) in sets.iter().enumerate().rev() {
        if let Some(step) = steps.get(index) {
            age = age.saturating_add((*step).min(longest_step));
        }
        if index < may_go && age > keep_for {
            old.push(set.clone());
        }
    }
    old.reverse();
    old
}

/// Removes the sets that the plan names. The name goes first, so that no half-removed set looks complete.
///
/// # Errors
/// I/O; what was not removed is tried again next time.
pub(crate) fn rotate(directory: &BackupDirectory, retention: Retention) -> Result<Vec<SetEntry>> {
    let old = plan(&directory.sets()?, retention);
    for set in &old {
        let hidden = directory.path().join(format!(".{}.removing", set.name));
        fs::rename(&set.path, &hidden)
            .or_fail_io(|| format!("removing the old set {}", set.path.display()))?;
        sync_directory(directory.path())?;
        remove(&hidden)?;
        log::info!(
            MESSAGE_ID = message_id::SET_ROTATED, NEXUS_JOB = "backup", NEXUS_BACKUP = set.name.to_string().as_str();
            "removed set {}, older than {} days", set.name, retention.days
        );
    }
    Ok(old)
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

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use nexus_core::set::name::SetName;
    use proptest::prelude::*;

    const DAY: i64 = 86_400;
    const RETENTION: Retention = Retention { days: 14, at_least: 3 };

    /// One set a time given in seconds, numbered from 1.
    fn sets(times: &[i64]) -> Vec<SetEntry> {
        let entry = |(index, time): (usize, &i64)| SetEntry {
            name: SetName::new(index as u64 + 1, Timestamp::from_second(*time).unwrap()),
            path: format!("/backups/{index}").into(),
        };
        times.iter().enumerate().map(entry).collect()
    }

    fn removed(times: &[i64]) -> Vec<u64> {
        plan(&sets(times), RETENTION).iter().map(|set| set.name.sequence).collect()
    }

    #[test]
    fn nightly_sets_are_kept_for_the_days_that_are_set() {
        let nightly: Vec<i64> = (0..20).map(|day| day * DAY).collect();
        assert_eq!(removed(&nightly), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn weekly_sets_are_kept_for_the_days_that_are_set() {
        let weekly: Vec<i64> = (0..8).map(|week| week * 7 * DAY).collect();
        assert_eq!(removed(&weekly), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_clock_that_leaps_ten_years_removes_nothing_young() {
        let mut times: Vec<i64> = (0..10).map(|day| day * DAY).collect();
        times.push(3650 * DAY);
        assert_eq!(removed(&times), Vec::<u64>::new());
        times.push(10 * DAY);
        assert_eq!(removed(&times), Vec::<u64>::new());
    }

    proptest! {
        #[test]
        fn the_newest_are_always_kept_and_the_oldest_go_first(
            times in prop::collection::vec(0..4_000_000_000i64, 0..60), days in 1u32..100, at_least in 0u32..20,
        ) {
            let sets = sets(&times);
            let removed = plan(&sets, Retention { days, at_least });
            prop_assert!(sets.len() - removed.len() >= sets.len().min(at_least.max(1) as usize));
            prop_assert_eq!(&removed[..], &sets[..removed.len()]);
        }

        #[test]
        fn no_clock_makes_a_set_older_than_the_sets_after_it_allow(
            times in prop::collection::vec(0..4_000_000_000i64, 2..60),
        ) {
            // Whatever the clock does, each later set adds at most twice the usual distance.
            let sets = sets(&times);
            let mut steps: Vec<i64> = times.windows(2).map(|w| (w[1] - w[0]).max(0)).collect();
            steps.sort_unstable();
            let most = (steps[steps.len() / 2] * 2).max(2 * DAY);
            for set in plan(&sets, RETENTION) {
                let later = i64::try_from(sets.len()).unwrap() - i64::try_from(set.name.sequence).unwrap();
                prop_assert!(later * most > 14 * DAY);
            }
        }
    }
}
