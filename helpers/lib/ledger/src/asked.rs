//! The hourly limit of episodes that programs may have forgotten. No restore brings them back, so a
//! broken program or a compromised nexus-api must not be able to delete everything.

use std::path::Path;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use nexus_cli::failure::Result;
use serde::Deserialize;

use super::chain::Ledger;
use super::file::each_line;

/// The start of the `by` of a decision that a program requested.
const ASKED: &str = "asked by ";

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The setting of the hourly limit.
#[derive(Args, Clone, Copy, Debug)]
pub struct Hourly {
    /// The most episodes that programs may ask NEXUS to forget in an hour, 0 to 1000000; people have
    /// no limit
    #[arg(long = "purge-hourly", env = "NEXUS_PURGE_HOURLY", value_name = "NUMBER", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub most: u64,
}

impl Hourly {
    /// Returns whether `asked` episodes in the last hour reach the limit.
    pub fn is_reached(self, asked: u64) -> bool {
        asked >= self.most
    }
}

/// Returns the `by` of a decision that `peer` requested.
pub fn asked_by(peer: &str) -> String {
    format!("{ASKED}{peer}")
}

/// Returns whether a line counts. A line from the future was written with a wrong clock; it would
/// count until that time has passed.
fn counts(at: Timestamp, by: &str, now: Timestamp) -> bool {
    let age = now.duration_since(at);
    by.starts_with(ASKED) && !age.is_negative() && age < HOUR
}

impl Ledger {
    /// Counts the episodes that programs had forgotten in the hour before `now`.
    pub fn asked_within_the_hour(&self, now: Timestamp) -> u64 {
        let entries = self.lines().iter().filter(|line| line.decision().is_some()).map(|line| &line.entry);
        entries.filter(|entry| counts(entry.at, &entry.by, now)).count() as u64
    }
}

/// Like [`Ledger::asked_within_the_hour`], for the ledger at `path` without its key, for
/// monitoring. A malformed line does not count; nexus-purge reports it.
///
/// # Errors
/// I/O. A ledger that was never written counts as empty.
pub fn asked_within_the_hour(path: &Path, now: Timestamp) -> Result<u64> {
    #[derive(Deserialize)]
    struct Asked {
        at: Timestamp,
        by: String,
        #[serde(rename = "decision")]
        _decision: serde::de::IgnoredAny,
    }
    let mut asked = 0;
    each_line(path, |line| {
        if let Ok(Asked { at, by, .. }) = serde_json::from_slice(line)
            && counts(at, &by, now)
        {
            asked += 1;
        }
        Ok(())
    })?;
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_programs_within_the_hour_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("purge-ledger.jsonl");
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        assert_eq!(asked_within_the_hour(&path, now).unwrap(), 0);
        let line = |at: &str, by: &str, what: &str| {
            format!(r#"{{"n":1,"key":"0","at":"2026-01-01T{at}Z","by":"{by}",{what},"mac":"0"}}"#)
        };
        let (decision, done) = (r#""decision":{"found":1}"#, r#""done":{"of":"0","rows":1}"#);
        let lines = [
            line("10:59:59", "asked by nexus-api", decision),
            line("11:00:00", "asked by nexus-api", decision),
            line("11:00:01", "asked by nexus-api", decision),
            line("11:30:00", "conversation=90d", decision),
            line("11:40:00", "asked by nexus-api", done),
            "rubbish".to_owned(),
            line("12:00:00", "asked by root", decision),
            line("12:00:01", "asked by nexus-api", decision),
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        assert_eq!(asked_within_the_hour(&path, now).unwrap(), 2);
        let hourly = Hourly { most: 2 };
        assert!(!hourly.is_reached(1) && hourly.is_reached(2) && Hourly { most: 0 }.is_reached(0));
    }
}
