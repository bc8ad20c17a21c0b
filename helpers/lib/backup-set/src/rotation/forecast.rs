//! When the sets there are will be gone: what rotation decides, on each of the nights to come.
//!
//! The forecast assumes that from tomorrow on one backup a day (UTC) succeeds, that each new set holds what the newest one
//! does, and that the settings stay. It cannot know of
//! - days without a backup, or whose backup fails. If sets were made less often until now, rotation will count the
//!   distances between them for less, and a set may go up to `NEXUS_KEEP_DAYS` later;
//! - a memory that loses rows later, or regains lost ones;
//! - a clock that jumps later. Where it has jumped before, the time of day of each backup counts: a set may go a day later;
//! - a restore that uses a set while rotation runs;
//! - a person who has an older set proven, or a later test that takes a proof back.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Known, RedisPart, Retention, RotationDecision, decide, missing_from_newest};
use crate::name::SetName;

/// When the last of some sets will be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// On `day` at the latest, or on the day after the last of `awaited` has happened, whichever is later.
    By {
        /// Midnight (UTC) at its beginning.
        day: Timestamp,
        /// What keeps one of the sets until it happens.
        awaited: BTreeSet<Awaited>,
    },
    /// Not as long as newer sets lack rows that one of them holds.
    Never,
}

/// What must happen before a set goes, however old it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Awaited {
    /// A restore proves a newer set.
    Proof,
    /// A newer set holds Redis's data.
    Redis,
}

/// What rotation will do to the sets there are.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// The day by which each goes if nothing is awaited; none if it stays.
    days: Vec<Option<Timestamp>>,
    /// The number of sets that are older than those which a proof keeps, or could keep.
    without_proof: usize,
    /// The number of sets that are older than those which stay for their Redis data.
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

    /// Returns when the last of the `count` oldest sets will be gone; nothing if `count` is 0.
    pub fn of_oldest(&self, count: usize) -> Option<Leaves> {
        let days: Option<Vec<Timestamp>> = self.days.iter().take(count).copied().collect();
        let Some(days) = days else { return Some(Leaves::Never) };
        let day = days.into_iter().max()?;
        let awaited = [(Awaited::Proof, self.without_proof), (Awaited::Redis, self.without_redis)];
        let awaited = awaited.into_iter().filter(|(_, free)| count > *free).map(|(what, _)| what).collect();
        Some(Leaves::By { day, awaited })
    }
}

/// The index of the oldest set that may stay for its Redis data.
fn without_redis(sets: &[SetName], known: &Known) -> Option<usize> {
    if wants_redis(sets, known) {
        return sets.iter().rposition(known.has(RedisPart::Stored));
    }
    // Redis is not wanted any more. A set that lacks its data still keeps an older one that has it.
    let last_without = sets.iter().rposition(known.has(RedisPart::Missing))?;
    sets[..last_without].iter().position(known.has(RedisPart::Stored))
}

/// Whether the newest set holds Redis's data, or was meant to.
fn wants_redis(sets: &[SetName], known: &Known) -> bool {
    sets.last().is_some_and(|newest| known.redis.contains_key(newest))
}

/// The day by which each of `sets` goes if every new set is proven at once and holds Redis's data.
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
                // The time of day of the backup, and what it makes of ages, can cost a day.
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

/// The beginnings of the days (UTC) after `now`. A backup later on such a day finds every set at least as old.
fn midnights_after(now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let today = now.to_zoned(TimeZone::UTC).start_of_day().map_or(now, |day| day.timestamp());
    (1..).map_while(move |days| today.checked_add(SignedDuration::from_hours(24 * days)).ok())
}

/// A number of nights after which only what newer sets lack is left. A set that waits for another to go needs twice as many.
fn longest(retention: Retention) -> usize {
    let nights = |count: u32, each: usize| (count as usize + 1).saturating_mul(each);
    let once = nights(retention.days, 1)
        + nights(retention.at_least, 1)
        + nights(retention.weekly, 7)
        + nights(retention.monthly, 31);
    2 * once
}
