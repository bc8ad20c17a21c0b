//! Decides which sets to keep and which to remove, and why. It has no side effects.
//!
//! Sets are ordered by sequence number. The age of a set is the sum of the intervals between the
//! sets from it to the newest. A backward step of the clock counts as zero, and a leap as at most
//! twice the usual interval: so a clock that jumps by years does not age a set by years.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nexus_cli::failure::{OrFailIo, Result};
use nexus_cli::text::counted;

use crate::directory::BackupDirectory;
use crate::name::SetName;
use crate::proof;
use crate::size::Size;
use crate::{REDIS, REDIS_MISSING};

mod forecast;

pub use forecast::{Awaited, Forecast, Leaves};

/// The settings of how long to keep sets.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days to keep sets, 7 to 3650
    #[arg(long = "keep-days", env = "NEXUS_KEEP_DAYS", value_name = "DAYS", default_value_t = 14,
          value_parser = clap::value_parser!(u32).range(7..=3650))]
    pub days: u32,

    /// Newest sets to keep at any age, at least 1
    #[arg(long = "keep-min", env = "NEXUS_KEEP_MIN", value_name = "NUMBER", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub at_least: u32,

    /// Keep the last set of each of this many weeks, 0 to 520
    #[arg(long = "keep-weekly", env = "NEXUS_KEEP_WEEKLY", value_name = "NUMBER", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=520))]
    pub weekly: u32,

    /// Keep the last set of each of this many months, 0 to 120
    #[arg(long = "keep-monthly", env = "NEXUS_KEEP_MONTHLY", value_name = "NUMBER", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=120))]
    pub monthly: u32,
}

/// The decision on a set: why to keep it, or to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationDecision {
    /// It is one of the newest.
    KeepNewest,
    /// It is the newest that a restore has proven, or the newest proven one that is not far smaller
    /// than an older proven one.
    KeepProven,
    /// It has, or may have, rows that the newest set lacks.
    KeepFull,
    /// It is not older than the days in the settings.
    KeepYoung,
    /// It is the last of its week.
    KeepWeekly,
    /// It is the last of its month.
    KeepMonthly,
    /// It is the newest with Redis's data, which newer sets lack because Redis could not be read.
    KeepRedis,
    /// The newest backup failed: nothing is removed until one succeeds.
    KeepAfterFailure,
    /// No rule keeps it.
    Remove,
}

impl RotationDecision {
    /// Returns the reason for people, to print after the set's name.
    pub fn reason(self, retention: Retention) -> String {
        match self {
            Self::KeepNewest => format!("keep: one of the newest {}", retention.at_least.max(1)),
            Self::KeepProven => "keep: the newest that a restore has proven".to_owned(),
            Self::KeepFull => {
                "keep: the newest set lacks most of its rows (to accept that: nexus-backup --accept-smaller)"
                    .to_owned()
            }
            Self::KeepYoung => format!("keep: not older than {} days", retention.days),
            Self::KeepWeekly => "keep: the last of its week".to_owned(),
            Self::KeepMonthly => "keep: the last of its month".to_owned(),
            Self::KeepRedis => "keep: the newest with Redis's data, which a newer set lacks".to_owned(),
            Self::KeepAfterFailure => "keep: the newest backup failed".to_owned(),
            Self::Remove => format!("remove: older than {} days", retention.days),
        }
    }
}

/// Intervals up to this length between two sets always count in full.
const ALWAYS_PLAUSIBLE: SignedDuration = SignedDuration::from_hours(48);

/// The Redis part of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisPart {
    /// A snapshot.
    Stored,
    /// A note that Redis could not be read.
    Missing,
}

/// Facts about the sets besides their names.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The sets that a restore has proven.
    pub proven: BTreeSet<SetName>,
    /// The sizes of the sets. A set without one may have any size.
    pub sizes: BTreeMap<SetName, Size>,
    /// The owner has accepted the loss up to this number: newer sets are not compared with these
    /// sets.
    pub accepted: u64,
    /// The last set whose rows were found missing.
    pub reference: Option<SetName>,
    /// The Redis part of each set. A set without one was made with Redis backups off.
    pub redis: BTreeMap<SetName, RedisPart>,
}

impl Known {
    /// Reads the facts about `sets` in `directory`.
    ///
    /// # Errors
    /// I/O; Data (65) for a malformed proof.
    pub fn read(directory: &BackupDirectory, proofs: &Path, sets: &[SetName]) -> Result<Self> {
        let remembered = directory.remembered()?;
        Ok(Self {
            proven: proof::proven(proofs, sets)?,
            sizes: remembered.sizes(),
            accepted: remembered.accepted,
            reference: remembered.reference(),
            redis: redis_parts(directory, sets)?,
        })
    }

    /// Adds the size of each proven set whose size is not remembered, from its proof. `forgotten` returns how many rows
    /// nexus-purge had forgotten at a given time.
    ///
    /// # Errors
    /// I/O, or Data (65) for a proof that cannot be understood.
    pub fn with_sizes_from_proofs(
        mut self,
        proofs: &Path,
        forgotten: impl Fn(Timestamp) -> Result<u64>,
    ) -> Result<Self> {
        for set in &self.proven {
            if self.sizes.contains_key(set) {
                continue;
            }
            let tables = proof::tables(proofs, *set)?;
            if !tables.is_empty() {
                self.sizes.insert(*set, Size::of_digests(&tables, forgotten(set.taken)?));
            }
        }
        Ok(self)
    }

    /// Returns the set with which to compare the live memory: the one whose rows the newest set
    /// lacks, or the newest.
    pub fn reference(&self, sets: &[SetName]) -> Option<(SetName, Size)> {
        let set = missing_from_newest(sets, self).or_else(|| sets.last().copied())?;
        Some((set, self.comparable_size(&set)?))
    }

    /// Returns the size of `set` if newer sets are compared with it.
    fn comparable_size(&self, set: &SetName) -> Option<Size> {
        self.sizes.get(set).copied().filter(|_| set.sequence > self.accepted)
    }

    /// Returns the newest proven set that is not far smaller than an older proven one. It must
    /// stay.
    fn newest_full_proven(&self, sets: &[SetName]) -> Option<usize> {
        let proven: Vec<(usize, Size)> = (0..sets.len())
            .filter(|index| self.proven.contains(&sets[*index]))
            .filter_map(|index| Some((index, self.comparable_size(&sets[index])?)))
            .collect();
        let is_full = |(index, size): &&(usize, Size)| {
            !proven.iter().any(|(older, before)| older < index && size.is_far_smaller(*before))
        };
        proven.iter().rfind(is_full).map(|(index, _)| *index)
    }

    fn newest_proven(&self, sets: &[SetName]) -> Option<usize> {
        sets.iter().rposition(|set| self.proven.contains(set))
    }

    /// Returns whether a set has this part of Redis.
    fn has(&self, part: RedisPart) -> impl Fn(&SetName) -> bool + '_ {
        move |set| self.redis.get(set) == Some(&part)
    }

    /// Returns the newest set with Redis's data if a newer one lacks it because Redis could not be
    /// read.
    fn only_with_redis(&self, sets: &[SetName]) -> Option<usize> {
        let newest = sets.iter().rposition(self.has(RedisPart::Stored))?;
        sets[newest..].iter().any(self.has(RedisPart::Missing)).then_some(newest)
    }
}

fn redis_parts(directory: &BackupDirectory, sets: &[SetName]) -> Result<BTreeMap<SetName, RedisPart>> {
    let mut parts = BTreeMap::new();
    for set in sets {
        let path = directory.path().join(set.to_string());
        for (file, part) in [(REDIS, RedisPart::Stored), (REDIS_MISSING, RedisPart::Missing)] {
            let file = path.join(file);
            if file.try_exists().or_fail_io(|| format!("looking for {}", file.display()))? {
                parts.insert(*set, part);
                break;
            }
        }
    }
    Ok(parts)
}

/// Returns the largest set whose rows the newest of `sets` lacks. A set stays the reference until
/// its rows are back or the owner accepts the loss, even if the memory grows in the meantime.
pub fn missing_from_newest(sets: &[SetName], known: &Known) -> Option<SetName> {
    let newest = sets.last()?;
    let now = known.sizes.get(newest);
    if let Some(reference) =
        known.reference.filter(|reference| reference != newest && sets.contains(reference))
        && let Some(before) = known.comparable_size(&reference)
        && !now.is_some_and(|now| now.is_back(before))
    {
        return Some(reference);
    }
    let now = now?;
    let lacks = |set: &SetName| Some((known.comparable_size(set)?, *set));
    let larger = sets.iter().filter_map(lacks).filter(|(before, _)| now.is_far_smaller(*before));
    larger.max_by_key(|(before, set)| (before.episodes, before.rows, *set)).map(|(_, set)| set)
}

/// Describes, in one sentence without a full stop, which rows of `reference` are missing in `newest`.
pub fn missing_rows(newest: SetName, reference: SetName, sizes: &BTreeMap<SetName, Size>) -> String {
    let before = sizes.get(&reference).copied().unwrap_or_default();
    let Some(now) = sizes.get(&newest).copied() else {
        return format!(
            "set {newest} may lack some of the {} in set {reference}",
            counted(before.rows, "row")
        );
    };
    let forgotten = match now.forgotten_since(before) {
        0 => String::new(),
        rows => format!("; nexus-purge has forgotten only {} since then", counted(rows, "row")),
    };
    format!(
        "set {newest} has {} and {} in all, but set {reference} has {} and {}{forgotten}",
        counted(now.episodes, "episode"),
        counted(now.rows, "row"),
        counted(before.episodes, "episode"),
        counted(before.rows, "row")
    )
}

/// Returns the advice for missing rows.
pub fn missing_rows_advice(reference: SetName) -> String {
    format!(
        "To bring the missing rows back: nexus-restore apply {:06}. To accept that they are gone: nexus-backup --accept-smaller",
        reference.sequence
    )
}

/// Decides on every set. `sets` must be ordered by sequence number; the decisions have the same
/// order.
pub fn decide(sets: &[SetName], known: &Known, retention: Retention) -> Vec<RotationDecision> {
    let keep_for = SignedDuration::from_hours(24 * i64::from(retention.days));
    let newest = sets.len().saturating_sub(retention.at_least.max(1) as usize);
    let newest_proven = known.newest_proven(sets);
    let newest_full_proven = known.newest_full_proven(sets);
    let missing = missing_from_newest(sets, known).and_then(|set| known.comparable_size(&set));
    let has_them = |set: &SetName| {
        missing.is_some_and(|before| {
            let size = known.sizes.get(set);
            set.sequence > known.accepted && !size.is_some_and(|size| size.is_far_smaller(before))
        })
    };
    let only_with_redis = known.only_with_redis(sets);
    let weekly = last_of_each(sets, retention.weekly, week);
    let monthly = last_of_each(sets, retention.monthly, month);
    let decide = |(index, age): (usize, SignedDuration)| {
        if index >= newest {
            RotationDecision::KeepNewest
        } else if Some(index) == newest_proven || Some(index) == newest_full_proven {
            RotationDecision::KeepProven
        } else if has_them(&sets[index]) {
            RotationDecision::KeepFull
        } else if age <= keep_for {
            RotationDecision::KeepYoung
        } else if weekly.contains(&index) {
            RotationDecision::KeepWeekly
        } else if monthly.contains(&index) {
            RotationDecision::KeepMonthly
        } else if Some(index) == only_with_redis {
            RotationDecision::KeepRedis
        } else {
            RotationDecision::Remove
        }
    };
    ages(sets).into_iter().enumerate().map(decide).collect()
}

/// Returns the age of each set relative to the newest.
fn ages(sets: &[SetName]) -> Vec<SignedDuration> {
    let steps: Vec<SignedDuration> = sets
        .windows(2)
        .map(|pair| pair[1].taken.duration_since(pair[0].taken).max(SignedDuration::ZERO))
        .collect();
    let mut sorted = steps.clone();
    sorted.sort_unstable();
    // The lower quartile, not the median: clocks leap more than once, and with few sets half of the
    // steps may be leaps. Four steps are too few to tell the usual one.
    let usual = match sorted.len() {
        0..=4 => SignedDuration::ZERO,
        steps => sorted[(steps - 1) / 4],
    };
    let longest_step = usual.saturating_mul(2).max(ALWAYS_PLAUSIBLE);
    let mut age = SignedDuration::ZERO;
    let mut ages = vec![age; sets.len()];
    for (index, step) in steps.iter().enumerate().rev() {
        age = age.saturating_add((*step).min(longest_step));
        ages[index] = age;
    }
    ages
}

/// Returns the indexes of the last set of each of the newest `count` periods with sets.
fn last_of_each(sets: &[SetName], count: u32, period: fn(Timestamp) -> (i16, i8)) -> BTreeSet<usize> {
    let mut periods = BTreeSet::new();
    let mut last = BTreeSet::new();
    for (index, set) in sets.iter().enumerate().rev() {
        if periods.len() >= count as usize {
            break;
        }
        if periods.insert(period(set.taken)) {
            last.insert(index);
        }
    }
    last
}

/// Returns the year and week of ISO 8601.
fn week(taken: Timestamp) -> (i16, i8) {
    let date = taken.to_zoned(TimeZone::UTC).date().iso_week_date();
    (date.year(), date.week())
}

fn month(taken: Timestamp) -> (i16, i8) {
    let date = taken.to_zoned(TimeZone::UTC).date();
    (date.year(), date.month())
}

#[cfg(test)]
mod tests;
