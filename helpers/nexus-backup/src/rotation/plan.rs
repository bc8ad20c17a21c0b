//! Which sets go and which stay, and why: sets in, decisions out, nothing else.
//!
//! Sets are ordered by sequence number. A set's age is the time that passed from set to set after it, where a
//! step back of the clock counts as nothing and one leap no more than twice the usual distance between sets: a clock
//! that jumps by years ages no set by years.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nexus_core::set::name::SetName;

/// How long sets are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Days for which every set is kept.
    pub(crate) days: u32,
    /// Sets that are kept whatever their age.
    pub(crate) at_least: u32,
    /// Weeks of which the last set is kept beyond that.
    pub(crate) weekly: u32,
    /// Months of which the last set is kept beyond that.
    pub(crate) monthly: u32,
}

/// Why a set stays, or that it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
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
    pub(crate) fn reason(self, retention: Retention) -> String {
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
pub(crate) fn decide(sets: &[SetName], proven: &BTreeSet<SetName>, retention: Retention) -> Vec<Decision> {
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

/// The age of each set, as of the newest.
fn ages(sets: &[SetName]) -> Vec<SignedDuration> {
    let steps: Vec<SignedDuration> = sets
        .windows(2)
        .map(|pair| pair[1].taken.duration_since(pair[0].taken).max(SignedDuration::ZERO))
        .collect();
    let mut sorted = steps.clone();
    sorted.sort_unstable();
    let usual = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
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
