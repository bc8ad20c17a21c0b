//! Forecasts when the disks will be full, from a history of hourly samples over sixty days.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nexus_cli::text::counted;
use nexus_fs::files;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::finding::{Finding, Metric};
use crate::publish::file;
use crate::report::Report;

/// Time between two samples.
const EVERY: SignedDuration = SignedDuration::from_hours(1);
/// The most samples to keep.
const MOST: usize = 24 * 60;
/// The shortest history that allows a forecast.
const LEAST: SignedDuration = SignedDuration::from_hours(24);
/// The number of samples for the slope, spread over the whole history.
const POINTS: usize = 40;
/// The longest forecast.
const FAR: f64 = 10.0 * 365.0 * 86_400.0;

/// The bytes in use at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sample {
    at: Timestamp,
    /// Bytes by disk.
    used: Vec<(String, u64)>,
}

/// The history, oldest first.
pub(super) struct Growth {
    path: PathBuf,
    samples: Vec<Sample>,
    /// Why the history could not be written.
    unwritten: Option<String>,
}

impl Growth {
    /// Reads the history in `directory`. Skips damaged lines; without a history there is no forecast for a day.
    pub(super) fn read(directory: &Path) -> Self {
        let path = directory.join("history.jsonl");
        let text = files::read_to_string(&path).unwrap_or_default();
        let lines = text.lines().rev().take(MOST).filter_map(|line| serde_json::from_str(line).ok());
        let mut samples: Vec<Sample> = lines.collect();
        samples.sort_by_key(|sample| sample.at);
        Self { path, samples, unwritten: None }
    }

    /// Adds a sample if one is due, and reports when each disk (name, bytes in use, bytes free) will be full.
    pub(super) fn check(&mut self, disks: &[(&'static str, u64, u64)], ctx: &Context, report: &mut Report) {
        // A one-shot run writes no file: if root runs it, root would own the file.
        if !ctx.args.is_one_shot() {
            self.note(disks, Timestamp::now());
        }
        report.found(match &self.unwritten {
            None => Finding::ok("history", "The use of the disks is recorded."),
            Some(why) => Finding::warning(
                "history",
                format!("The use of the disks cannot be recorded: {why}"),
                "Correct the cause: without the history, nexus-health cannot forecast when the disks will be full",
            ),
        });
        for (name, _, free) in disks {
            let Some(seconds) = self.until_full(name, *free) else { continue };
            let label = ("place", *name);
            report.metric(Metric::of(
                "disk_full_in_seconds",
                "Time until a file system is full at the rate of the last weeks; ten years mean never.",
                label,
                seconds,
            ));
            let of = if *name == "root" { "system" } else { name };
            let sentence = if seconds >= FAR {
                format!("The disk of the {of} is not filling up.")
            } else {
                let days = counted(Duration::from_secs_f64(seconds).as_secs() / 86_400, "day");
                format!("At the rate of the last weeks, the disk of the {of} will be full in {days}.")
            };
            let advice = "Free some space, keep fewer sets (NEXUS_KEEP_DAYS in /etc/nexus/nexus.env), or get a larger disk in time";
            let limits = ctx.args.thresholds.until_full;
            report.found(Finding::measured(format!("full-{name}"), seconds, limits, sentence, advice));
        }
    }

    fn note(&mut self, disks: &[(&'static str, u64, u64)], now: Timestamp) {
        // A wrong clock leaves samples from the future, after which no other would be due.
        self.samples.retain(|sample| sample.at <= now);
        let is_due = self.samples.last().is_none_or(|last| now.duration_since(last.at) >= EVERY);
        if !is_due && self.unwritten.is_none() {
            return;
        }
        if is_due {
            let used = disks.iter().map(|(name, used, _)| ((*name).to_owned(), *used)).collect();
            self.samples.push(Sample { at: now, used });
        }
        let excess = self.samples.len().saturating_sub(MOST);
        self.samples.drain(..excess);
        let lines = self.samples.iter().filter_map(|sample| serde_json::to_string(sample).ok());
        let text: String = lines.map(|line| line + "\n").collect();
        self.unwritten = file::replace(&self.path, text.as_bytes()).err().map(|failure| failure.to_string());
    }

    /// Returns the seconds until `free` bytes are used up; `None` while the history is too short.
    fn until_full(&self, name: &str, free: u64) -> Option<f64> {
        let first = self.samples.first()?.at;
        if self.samples.last()?.at.duration_since(first) < LEAST {
            return None;
        }
        let points: Vec<(f64, f64)> = self
            .samples
            .iter()
            .filter_map(|sample| {
                let used = sample.used.iter().find(|(disk, _)| disk == name)?.1;
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

/// Returns the growth in bytes a second: the median of the slopes between all pairs (Theil and Sen). Unlike a least-squares fit, it
/// ignores a day on which much was moved or deleted.
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
    fn the_history_is_bounded_and_damage_costs_one_line() {
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
    fn the_forecast_divides_the_free_bytes_by_the_growth() {
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
    fn samples_from_the_future_are_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let mut growth = Growth::read(directory.path());
        growth.note(&[("backups", 1, 0)], at(1000));
        growth.note(&[("backups", 1, 0)], at(0));
        assert_eq!(growth.samples.len(), 1);
    }

    proptest! {
        #[test]
        fn one_exceptional_day_does_not_change_the_slope(
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
