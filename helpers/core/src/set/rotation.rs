//! Which sets go and which stay, and why: sets in, decisions out, nothing else.
//!
//! Sets are ordered by sequence number. A set's age is the time that passed from set to set after it, where a
//! step back of the clock counts as nothing and a leap no more than twice the usual distance between sets: a clock
//! that jumps by years, now and then, ages no set by years.

use std::collections::BTreeSet;

use crate::set::name::SetName;
use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

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
pub enum Decision {
    /// One of the newest.
    KeepNewest,
    /// The newest that a restore has proven.
    KeepProven,
    /// Not older than the days that are set.
    KeepYoung,
    /// The last of its week.
    KeepWeekly,
    /// The last of its month.
    KeepMonthly,
    /// The newest backup failed: until one succeeds, nothing goes.
    KeepAfterFailure,
    /// Nothing keeps it.
    Remove,
}

impl Decision {
    /// For a person, after the set's name.
    pub fn reason(self, retention: Retention) -> String {
        match self {
            Self::KeepNewest => format!("keep: one of the newest {}", retention.at_least.max(1)),
            Self::KeepProven => "keep: the newest that a restore has proven".to_owned(),
            Self::KeepYoung => format!("keep: not older than {} days", retention.days),
            Self::KeepWeekly => "keep: the last of its week".to_owned(),
            Self::KeepMonthly => "keep: the last of its month".to_owned(),
            Self::KeepAfterFailure => "keep: the newest backup failed".to_owned(),
            Self::Remove => format!("remove: older than {} days", retention.days),
        }
    }
}

/// One distance between neighbouring sets always counts in full up to this.
const ALWAYS_PLAUSIBLE: SignedDuration = SignedDuration::from_hours(48);

/// A decision for every set; `sets` are ordered by sequence number, and so are the decisions.
pub fn decide(sets: &[SetName], proven: &BTreeSet<SetName>, retention: Retention) -> Vec<Decision> {
    let keep_for = SignedDuration::from_hours(24 * i64::from(retention.days));
    let newest = sets.len().saturating_sub(retention.at_least.max(1) as usize);
    let newest_proven = sets.iter().rposition(|set| proven.contains(set));
    let weekly = last_of_each(sets, retention.weekly, week);
    let monthly = last_of_each(sets, retention.monthly, month);
    let decide = |(index, age): (usize, SignedDuration)| {
        if index >= newest {
            Decision::KeepNewest
        } else if Some(index) == newest_proven {
            Decision::KeepProven
        } else if age <= keep_for {
            Decision::KeepYoung
        } else if weekly.contains(&index) {
            Decision::KeepWeekly
        } else if monthly.contains(&index) {
            Decision::KeepMonthly
        } else {
            Decision::Remove
        }
    };
    ages(sets).into_iter().enumerate().map(decide).collect()
}

/// When a set will be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// On that day.
    On(Timestamp),
    /// Not before that day, and only once a restore has proven a newer set.
    OnceProven(Timestamp),
    /// In more than a hundred years.
    Never,
}

/// When `set`, one of `sets`, will be rotated away if one backup a day is made from now on.
pub fn leaves(sets: &[SetName], proven: &BTreeSet<SetName>, retention: Retention, set: SetName) -> Leaves {
    let is_proven = sets.iter().rfind(|set| proven.contains(set)) == Some(&set);
    let none = BTreeSet::new();
    let mut sets = sets.to_vec();
    for _ in 0..36_525 {
        let Some(newest) = sets.last().copied() else { return Leaves::Never };
        let decisions = decide(&sets, &none, retention);
        let gone = |name: &SetName| {
            let index = sets.iter().position(|other| other == name);
            index.is_some_and(|index| decisions[index] == Decision::Remove)
        };
        if gone(&set) {
            return if is_proven { Leaves::OnceProven(newest.taken) } else { Leaves::On(newest.taken) };
        }
        let mut left: Vec<_> = sets.iter().copied().filter(|name| !gone(name)).collect();
        let Ok(tomorrow) = newest.taken.checked_add(SignedDuration::from_hours(24)) else { break };
        left.push(SetName::new(newest.sequence + 1, tomorrow));
        sets = left;
    }
    Leaves::Never
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
