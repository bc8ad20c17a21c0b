//! Forecasts when rotation will remove each existing set, by deciding for each coming night.
//!
//! The forecast assumes that from tomorrow on one backup a day (UTC) succeeds, that each new set
//! holds what the newest one does, and that the settings stay. It does not know of
//! - days without a backup, or whose backup fails. If backups were rarer until now, rotation will
//!   count only part of the long intervals between them, and may remove a set up to
//!   `NEXUS_KEEP_DAYS` later;
//! - a memory that loses rows later, or regains lost ones;
//! - a clock that jumps later. If it has jumped before, ages depend on each backup's time of day,
//!   and a set may be removed a day later;
//! - a restore that uses a set while rotation runs;
//! - a restore test of an older set, or a later test that revokes a proof.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Known, RedisPart, Retention, RotationDecision, decide, missing_from_newest};
use crate::name::SetName;

/// When rotation will have removed the last of some sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// Rotation removes the last set on `day` at the latest, or on the day after the last of
    /// `awaited` has happened, whichever is later.
    By {
        /// The midnight (UTC) at which the day begins.
        day: Timestamp,
        /// The events without which one of the sets stays.
        awaited: BTreeSet<Awaited>,
    },
    /// Rotation keeps one of the sets for as long as newer sets lack rows that it holds.
    Never,
}

/// What must happen before rotation removes a set, however old it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Awaited {
    /// A restore proves a newer set.
    Proof,
    /// A newer set holds Redis's data.
    Redis,
}

/// What rotation will do to the existing sets.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// The day by which rotation removes each set if it awaits nothing; `None` if the set stays.
    days: Vec<Option<Timestamp>>,
    /// The number of the oldest sets that no proof keeps or can keep.
    without_proof: usize,
    /// The number of the oldest sets that do not stay for their Redis data.
    without_redis: usize,
}

impl Forecast {
    /// Forecasts what happens to `sets`, which are ordered by sequence number.
    pub fn new(sets: &[SetName], known: &Known, retention: Retention, now: Timestamp) -> Self {
        let newest_proven = known.newest_proven(sets).unwrap_or(0);
        Self {
            days: days(sets, known, retention, now),
            without_proof: known.newest_full_proven(sets).unwrap_or(newest_proven).min(newest_proven),
            without_redis: without_redis(sets, known).unwrap_or(sets.len()),
        }
    }

    /// Returns when the last of the `count` oldest sets will be gone; `None` if `count` is 0.
    pub fn of_oldest(&self, count: usize) -> Option<Leaves> {
        let days: Option<Vec<Timestamp>> = self.days.iter().take(count).copied().collect();
        let Some(days) = days else { return Some(Leaves::Never) };
        let day = days.into_iter().max()?;
        let awaited = [(Awaited::Proof, self.without_proof), (Awaited::Redis, self.without_redis)];
        let awaited = awaited.into_iter().filter(|(_, free)| count > *free).map(|(what, _)| what).collect();
        Some(Leaves::By { day, awaited })
    }
}

/// Returns the index of the oldest set that may stay for its Redis data.
fn without_redis(sets: &[SetName], known: &Known) -> Option<usize> {
    if wants_redis(sets, known) {
        return sets.iter().rposition(known.has(RedisPart::Stored));
    }
    // Redis is not wanted any more. A set that lacks its data still keeps an older one that has it.
    let last_without = sets.iter().rposition(known.has(RedisPart::Missing))?;
    sets[..last_without].iter().position(known.has(RedisPart::Stored))
}

/// Returns whether the newest set holds Redis's data, or was meant to.
fn wants_redis(sets: &[SetName], known: &Known) -> bool {
    sets.last().is_some_and(|newest| known.redis.contains_key(newest))
}

/// Returns the day by which rotation removes each of `sets`, if every new set is proven at once and
/// holds Redis's data.
fn days(sets: &[SetName], known: &Known, retention: Retention, now: Timestamp) -> Vec<Option<Timestamp>> {
    let mut days = vec![None; sets.len()];
    let Some(newest) = sets.last() else { return days };
    let size = known.sizes.get(newest).copied();
    let wants_redis = wants_redis(sets, known);
    let mut known = known.clone();
    let mut there = sets.to_vec();
    let midnights = midnights_after(now).take(longest(retention));
    for (number, day) in (newest.sequence.saturating_add(1)..).zip(midnights) {
        let set = SetName::new(number, day);
        known.sizes.extend(size.map(|size| (set, size)));
        known.redis.extend(wants_redis.then_some((set, RedisPart::Stored)));
        known.proven.insert(set);
        there.push(set);
        known.reference = missing_from_newest(&there, &known);
        let mut decisions = decide(&there, &known, retention).into_iter();
        there.retain(|set| {
            let is_removed = decisions.next() == Some(RotationDecision::Remove);
            if is_removed && let Ok(index) = sets.binary_search(set) {
                // The ages depend on the backup's time of day, which can delay a removal by a day.
                days[index] = day.checked_add(SignedDuration::from_hours(24)).ok();
            }
            !is_removed
        });
        if !days.contains(&None) {
            break;
        }
    }
    days
}

/// Returns the beginnings of the days (UTC) after `now`. A backup later on such a day finds every
/// set at least as old.
fn midnights_after(now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let today = now.to_zoned(TimeZone::UTC).start_of_day().map_or(now, |day| day.timestamp());
    (1..).map_while(move |days| today.checked_add(SignedDuration::from_hours(24 * days)).ok())
}

/// Returns a number of nights after which the only old sets left are those with rows that newer
/// sets lack. It is doubled, because a set may have to wait until another one is removed.
fn longest(retention: Retention) -> usize {
    let nights = |count: u32, each: usize| (count as usize + 1).saturating_mul(each);
    let once = nights(retention.days, 1)
        + nights(retention.at_least, 1)
        + nights(retention.weekly, 7)
        + nights(retention.monthly, 31);
    2 * once
}
