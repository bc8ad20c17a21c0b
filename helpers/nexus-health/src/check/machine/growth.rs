//! How the disks grow, and when they will be full: an own history, a sample an hour, for sixty days.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nexus_fs::files;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Metric};
use crate::look::{Ctx, Look};
use crate::tell::file;

/// Time between two samples.
const EVERY: SignedDuration = SignedDuration::from_hours(1);
/// How many are kept.
const MOST: usize = 24 * 60;
/// Less history says nothing.
const LEAST: SignedDuration = SignedDuration::from_hours(24);
/// The slope is taken over so many samples, spread over all there are.
const POINTS: usize = 40;
/// What is longer than this is no forecast.
const FAR: f64 = 10.0 * 365.0 * 86_400.0;

/// How much was in use at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sample {
    at: Timestamp,
    /// Bytes, by the name of the place.
    used: Vec<(String, u64)>,
}

/// The history, oldest first.
pub(super) struct Growth {
    path: PathBuf,
    samples: Vec<Sample>,
    /// Why it could not be written.
    unwritten: Option<String>,
}

impl Growth {
    /// The history in `directory`. One that is missing or damaged begins anew: it costs a forecast for a day.
    pub(super) fn read(directory: &Path) -> Self {
        let path = directory.join("history.jsonl");
        let text = files::read_to_string(&path).unwrap_or_default();
        let lines = text.lines().rev().take(MOST).filter_map(|line| serde_json::from_str(line).ok());
        let mut samples: Vec<Sample> = lines.collect();
        samples.sort_by_key(|sample| sample.at);
        Self { path, samples, unwritten: None }
    }

    /// Adds a sample when it is time, and says when each of the places, name, bytes in use and bytes free, will be full.
    pub(super) fn look(&mut self, places: &[(&'static str, u64, u64)], ctx: &Ctx, look: &mut Look) {
        // A person's look leaves no file behind, least of all one of root's.
        if !ctx.args.is_one_look() {
            self.note(places, Timestamp::now());
        }
        look.found(match &self.unwritten {
            None => Finding::ok("history", "The growth of the disks is written down."),
            Some(why) => Finding::warning(
                "history",
                format!("The growth of the disks cannot be written down: {why}"),
                "Until it can, there is no forecast of when they are full",
            ),
        });
        for (name, _, free) in places {
            let Some(seconds) = self.until_full(name, *free) else { continue };
            let label = ("place", *name);
            look.metric(Metric::of(
                "disk_full_in_seconds",
                "Time until a file system is full at its growth of the last weeks; ten years stand for never.",
                label,
                seconds,
            ));
            let of = if *name == "root" { "system" } else { name };
            let sentence = if seconds >= FAR {
                format!("The disk of the {of} does not grow towards its end.")
            } else {
                let days = Duration::from_secs_f64(seconds).as_secs() / 86_400;
                format!("At its growth of the last weeks the disk of the {of} is full in {days} days.")
            };
            let advice = "Free some space, keep fewer sets (NEXUS_KEEP_DAYS), or get a larger disk in time";
            let limits = ctx.args.thresholds.until_full;
            look.found(Finding::measured(format!("full-{name}"), seconds, limits, sentence, advice));
        }
    }

    fn note(&mut self, places: &[(&'static str, u64, u64)], now: Timestamp) {
        // A clock that was wrong leaves samples of a time to come; they would keep all others out.
        self.samples.retain(|sample| sample.at <= now);
        let is_due = self.samples.last().is_none_or(|last| now.duration_since(last.at) >= EVERY);
        if !is_due && self.unwritten.is_none() {
            return;
        }
        if is_due {
            let used = places.iter().map(|(name, used, _)| ((*name).to_owned(), *used)).collect();
            self.samples.push(Sample { at: now, used });
        }
        let excess = self.samples.len().saturating_sub(MOST);
        self.samples.drain(..excess);
        let lines = self.samples.iter().filter_map(|sample| serde_json::to_string(sample).ok());
        let text: String = lines.map(|line| line + "\n").collect();
        self.unwritten = file::replace(&self.path, text.as_bytes()).err().map(|failure| failure.to_string());
    }

    /// Seconds until `free` bytes are used up; nothing as long as the history is too short.
    fn until_full(&self, name: &str, free: u64) -> Option<f64> {
        let first = self.samples.first()?.at;
        if self.samples.last()?.at.duration_since(first) < LEAST {
            return None;
        }
        let points: Vec<(f64, f64)> = self
            .samples
            .iter()
            .filter_map(|sample| {
                let used = sample.used.iter().find(|(place, _)| place == name)?.1;
                #[expect(clippy::cast_precision_loss, reason = "a forecast")]
                Some((sample.at.duration_since(first).as_secs_f64(), used as f64))
            })
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a forecast")]
        let seconds = match slope(&points)? {
            growth if growth > 0.0 => free as f64 / growth,
            _ => FAR,
        };
        Some(seconds.min(FAR))
    }
}

/// Bytes a second: the median of the slopes between all pairs (Theil and Sen). A day on which much was moved or cleared
/// away does not change it, where a straight line through all points would follow.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let step = points.len().div_ceil(POINTS).max(1);
    let points: Vec<_> = points.iter().rev().step_by(step).collect();
    let mut slopes = Vec::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let later = points[index + 1..].iter().filter(|(other, _)| (other - x).abs() > 0.0);
        slopes.extend(later.map(|(other_x, other_y)| (other_y - y) / (other_x - x)));
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 3600).unwrap()
    }

    #[test]
    fn the_history_is_bounded_survives_a_restart_and_damage_costs_only_the_damaged_line() {
        let directory = tempfile::tempdir().unwrap();
        let mut growth = Growth::read(directory.path());
        for hour in 0..2000i64 {
            growth.note(&[("backups", hour.unsigned_abs() * 1000, 0)], at(hour));
        }
        assert_eq!(growth.samples.len(), MOST);
        let path = directory.path().join("history.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("{\"at\"", "{\"at", 1)).unwrap();
        assert_eq!(Growth::read(directory.path()).samples, growth.samples[1..]);
    }

    #[test]
    fn full_is_when_the_free_bytes_are_used_up_at_the_growth_there_was() {
        let directory = tempfile::tempdir().unwrap();
        let mut growth = Growth::read(directory.path());
        for hour in 0..=200i64 {
            growth.note(&[("backups", 3600 * hour.unsigned_abs(), 0), ("still", 7, 0)], at(hour));
            assert_eq!(growth.until_full("backups", 1000).is_some(), hour >= 24, "{hour}");
        }
        let seconds = growth.until_full("backups", 86_400).unwrap();
        assert!((seconds - 86_400.0).abs() < 1.0, "{seconds}");
        assert!((growth.until_full("still", 1).unwrap() - FAR).abs() < 1.0);
        assert_eq!(growth.until_full("unheard-of", 1), None);
    }

    #[test]
    fn samples_of_a_time_to_come_are_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let mut growth = Growth::read(directory.path());
        growth.note(&[("backups", 1, 0)], at(1000));
        growth.note(&[("backups", 1, 0)], at(0));
        assert_eq!(growth.samples.len(), 1);
    }

    proptest! {
        #[test]
        fn one_day_of_moving_things_does_not_change_the_slope(
            growth in 1.0f64..1e6, leap in -1e12f64..1e12, day in 0usize..30
        ) {
            let points: Vec<_> = (0..30u32)
                .map(|x| (f64::from(x), f64::from(x) * growth + if x as usize == day { leap } else { 0.0 }))
                .collect();
            let found = slope(&points).unwrap();
            prop_assert!((found - growth).abs() <= growth * 1e-6, "{found} is not {growth}");
        }
    }
}
