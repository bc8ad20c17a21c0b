//! Which sets go and which stay, and why: sets in, decisions out, nothing else.
//!
//! Sets are ordered by sequence number. A set's age is the time that passed from set to set after it, where a
//! step back of the clock counts as nothing and a leap no more than twice the usual distance between sets: a clock
//! that jumps by years, now and then, ages no set by years.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nexus_cli::failure::{OrFailIo, Result};
use nexus_cli::text::grouped;

use crate::directory::BackupDirectory;
use crate::name::SetName;
use crate::proof;
use crate::size::Size;
use crate::{REDIS, REDIS_MISSING};

mod forecast;

pub use forecast::{Awaited, Forecast, Leaves};

/// How long sets are kept.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days for which sets are kept, 7 to 3650
    #[arg(long = "keep-days", env = "NEXUS_KEEP_DAYS", value_name = "DAYS", default_value_t = 14,
          value_parser = clap::value_parser!(u32).range(7..=3650))]
    pub days: u32,

    /// Sets that are kept whatever their age, at least 1
    #[arg(long = "keep-min", env = "NEXUS_KEEP_MIN", value_name = "NUMBER", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub at_least: u32,

    /// Weeks of which the last set is kept beyond that, 0 to 520
    #[arg(long = "keep-weekly", env = "NEXUS_KEEP_WEEKLY", value_name = "NUMBER", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=520))]
    pub weekly: u32,

    /// Months of which the last set is kept beyond that, 0 to 120
    #[arg(long = "keep-monthly", env = "NEXUS_KEEP_MONTHLY", value_name = "NUMBER", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=120))]
    pub monthly: u32,
}

/// Why a set stays, or that it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationDecision {
    /// One of the newest.
    KeepNewest,
    /// The newest that a restore has proven, or the newest of those that lacks no rows of an older one.
    KeepProven,
    /// The newest set lacks rows that this one has, or may have.
    KeepFull,
    /// Not older than the days that are set.
    KeepYoung,
    /// The last of its week.
    KeepWeekly,
    /// The last of its month.
    KeepMonthly,
    /// The newest with Redis's data, which newer sets lack because Redis could not be read.
    KeepRedis,
    /// The newest backup failed: until one succeeds, nothing goes.
    KeepAfterFailure,
    /// Nothing keeps it.
    Remove,
}

impl RotationDecision {
    /// For a person, after the set's name.
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

/// One distance between neighbouring sets always counts in full up to this.
const ALWAYS_PLAUSIBLE: SignedDuration = SignedDuration::from_hours(48);

/// What a set has of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisPart {
    /// Its snapshot.
    Stored,
    /// A note that Redis could not be read.
    Missing,
}

/// What is known of the sets besides their names.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Those that a restore has proven.
    pub proven: BTreeSet<SetName>,
    /// How much they hold; a set that is not here may hold anything.
    pub sizes: BTreeMap<SetName, Size>,
    /// The owner has accepted the loss up to this number: newer sets are not compared with sets up to it.
    pub accepted: u64,
    /// The set whose rows were missing when that was last found.
    pub measure: Option<SetName>,
    /// What each set has of Redis; a set that is not here was not meant to have anything.
    pub redis: BTreeMap<SetName, RedisPart>,
}

impl Known {
    /// Reads what is known of `sets`, which are in `directory`.
    ///
    /// # Errors
    /// I/O, or Data (65) for a proof that cannot be understood.
    pub fn read(directory: &BackupDirectory, proofs: &Path, sets: &[SetName]) -> Result<Self> {
        let remembered = directory.remembered()?;
        Ok(Self {
            proven: proof::proven(proofs, sets)?,
            sizes: remembered.sizes(),
            accepted: remembered.accepted,
            measure: remembered.measure(),
            redis: redis_parts(directory, sets)?,
        })
    }

    /// Adds the size of each proven set whose size is not remembered, from its proof. `forgotten` returns the rows that
    /// nexus-purge had forgotten by a moment.
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

    /// What the living memory is compared with: the set that the newest one lacks rows of, or the newest.
    pub fn reference(&self, sets: &[SetName]) -> Option<(SetName, Size)> {
        let set = missing_from_newest(sets, self).or_else(|| sets.last().copied())?;
        Some((set, self.measure_of(&set)?))
    }

    /// The size of `set`, where it is a measure for newer sets.
    fn measure_of(&self, set: &SetName) -> Option<Size> {
        self.sizes.get(set).copied().filter(|_| set.sequence > self.accepted)
    }

    /// The proven set that must stay: the newest that is not far smaller than an older proven one.
    fn newest_full_proven(&self, sets: &[SetName]) -> Option<usize> {
        let proven: Vec<(usize, Size)> = (0..sets.len())
            .filter(|index| self.proven.contains(&sets[*index]))
            .filter_map(|index| Some((index, self.measure_of(&sets[index])?)))
            .collect();
        let is_full = |(index, size): &&(usize, Size)| {
            !proven.iter().any(|(older, before)| older < index && size.is_far_smaller(*before))
        };
        proven.iter().rfind(is_full).map(|(index, _)| *index)
    }

    fn newest_proven(&self, sets: &[SetName]) -> Option<usize> {
        sets.iter().rposition(|set| self.proven.contains(set))
    }

    /// Whether a set has that of Redis.
    fn has(&self, part: RedisPart) -> impl Fn(&SetName) -> bool + '_ {
        move |set| self.redis.get(set) == Some(&part)
    }

    /// The newest set with Redis's data, as long as there is a newer one that lacks it because Redis could not be read.
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

/// The set that has most of the rows that the newest of `sets` lacks. Once a set is the reference it stays so until its
/// rows are back or the owner accepts the loss, however the memory grows meanwhile.
pub fn missing_from_newest(sets: &[SetName], known: &Known) -> Option<SetName> {
    let newest = sets.last()?;
    let now = known.sizes.get(newest);
    if let Some(measure) = known.measure.filter(|measure| measure != newest && sets.contains(measure))
        && let Some(before) = known.measure_of(&measure)
        && !now.is_some_and(|now| now.is_back(before))
    {
        return Some(measure);
    }
    let now = now?;
    let lacks = |set: &SetName| Some((known.measure_of(set)?, *set));
    let larger = sets.iter().filter_map(lacks).filter(|(before, _)| now.is_far_smaller(*before));
    larger.max_by_key(|(before, set)| (before.episodes, before.rows, *set)).map(|(_, set)| set)
}

/// One sentence without a full stop, for people: which rows of `measure` `newest` lacks.
pub fn missing_rows(newest: SetName, measure: SetName, sizes: &BTreeMap<SetName, Size>) -> String {
    let before = sizes.get(&measure).copied().unwrap_or_default();
    let Some(now) = sizes.get(&newest).copied() else {
        return format!(
            "set {newest} may lack rows of the {} that set {measure} holds",
            grouped(before.rows)
        );
    };
    let forgotten = match now.forgotten_since(before) {
        0 => String::new(),
        rows => format!(", and nexus-purge has forgotten {} since", grouped(rows)),
    };
    format!(
        "set {newest} holds {} episodes and {} rows in all, where set {measure} held {} and {}{forgotten}",
        grouped(now.episodes),
        grouped(now.rows),
        grouped(before.episodes),
        grouped(before.rows)
    )
}

/// What to do about it.
pub fn missing_rows_advice(measure: SetName) -> String {
    format!(
        "If they are lost: nexus-restore apply {:06}. If they are meant to be gone: nexus-backup --accept-smaller",
        measure.sequence
    )
}

/// A decision for every set; `sets` are ordered by sequence number, and so are the decisions.
pub fn decide(sets: &[SetName], known: &Known, retention: Retention) -> Vec<RotationDecision> {
    let keep_for = SignedDuration::from_hours(24 * i64::from(retention.days));
    let newest = sets.len().saturating_sub(retention.at_least.max(1) as usize);
    let newest_proven = known.newest_proven(sets);
    let newest_full_proven = known.newest_full_proven(sets);
    let missing = missing_from_newest(sets, known).and_then(|set| known.measure_of(&set));
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

/// The age of each set, as of the newest.
fn ages(sets: &[SetName]) -> Vec<SignedDuration> {
    let steps: Vec<SignedDuration> = sets
        .windows(2)
        .map(|pair| pair[1].taken.duration_since(pair[0].taken).max(SignedDuration::ZERO))
        .collect();
    let mut sorted = steps.clone();
    sorted.sort_unstable();
    // The lower quartile, not the median: clocks leap more than once, and of a few sets half of the steps may be leaps.
    // Four steps say too little of what is usual.
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

/// The indexes of the last set of each of the newest `count` periods in which there are sets.
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

/// Year and week, as ISO 8601 counts them.
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
