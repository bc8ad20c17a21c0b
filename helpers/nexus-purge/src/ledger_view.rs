//! `--ledger`: every decision, and when the last backup that still holds what it forgot will be gone.

use jiff::Timestamp;
use nexus_backup_set::directory::{BackupDirectory, SetEntry};
use nexus_backup_set::name::SetName;
use nexus_backup_set::rotation::{Awaited, Forecast, Known, Leaves};
use nexus_cli::failure::Result;
use nexus_cli::text::{columns, grouped, moment};
use nexus_ledger::{Forget, Keys, Ledger, Line, Rows, Types, What, read, rows_gone};
use serde::Serialize;

use crate::args::Args;

/// A decision, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    line: u64,
    at: Timestamp,
    by: String,
    what: String,
    /// Rows that went; nothing while it is not carried out.
    rows: Option<u64>,
    /// The newest backup set that still holds what it forgot.
    last_backup: Option<String>,
    /// When rotation will have removed every set that holds it.
    gone: String,
}

/// The backup sets there are, and what a restore has proven.
pub(crate) struct Sets {
    pub(crate) directory: BackupDirectory,
    pub(crate) there: Vec<SetEntry>,
    pub(crate) names: Vec<SetName>,
    pub(crate) known: Known,
}

impl Sets {
    /// Reads the sets, and what is known about them.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn read(args: &Args) -> Result<Self> {
        let directory = BackupDirectory::at(&args.backup_dir)?;
        let there = directory.sets()?;
        let names: Vec<SetName> = there.iter().map(|set| set.name).collect();
        let known = Known::read(&directory, &args.proofs_dir, &names)?
            .with_sizes_from_proofs(&args.proofs_dir, |by| rows_gone(&args.purge_ledger, Some(by)))?;
        Ok(Self { directory, there, names, known })
    }

    /// The number of sets, the oldest ones, that may hold a row which was forgotten at `done`.
    pub(crate) fn with_row_of(&self, done: Timestamp) -> usize {
        with_row_of(&self.names, done, Timestamp::now())
    }
}

/// The sets up to the last one whose date is not after `done`. The second in which both fell counts as before. A date after
/// `now` says nothing: the clock was wrong.
fn with_row_of(sets: &[SetName], done: Timestamp, now: Timestamp) -> usize {
    sets.iter().rposition(|set| set.taken <= done || set.taken > now).map_or(0, |index| index + 1)
}

/// When the decision of `line` was done, and the rows that went.
pub(crate) fn done(ledger: &Ledger, line: &Line) -> Option<(Timestamp, u64)> {
    ledger.lines().iter().find_map(|other| match &other.entry.what {
        What::Done(done) if done.of == line.mac => Some((other.entry.at, done.rows)),
        _ => None,
    })
}

/// Every decision, the oldest first.
///
/// # Errors
/// Data (65) when the ledger is damaged; I/O.
pub(crate) fn show(args: &Args) -> Result<Vec<Shown>> {
    let ledger = read(&args.purge_ledger, &Keys::read()?)?;
    let sets = Sets::read(args)?;
    let forecast = Forecast::new(&sets.names, &sets.known, args.retention, Timestamp::now());
    let shown = ledger.lines().iter().filter_map(|line| {
        let decision = line.decision()?;
        let done = done(&ledger, line);
        let with_it = done.map_or(sets.names.len(), |(at, _)| sets.with_row_of(at));
        let gone = match done {
            // The next backup may hold it too.
            None => "not known while it is open".to_owned(),
            Some(_) => in_words(forecast.of_oldest(with_it)),
        };
        Some(Shown {
            line: line.number,
            at: line.entry.at,
            by: line.entry.by.clone(),
            what: describe(&decision.forget),
            rows: done.map(|(_, rows)| rows),
            last_backup: sets.names[..with_it].last().map(ToString::to_string),
            gone,
        })
    });
    Ok(shown.collect())
}

fn in_words(leaves: Option<Leaves>) -> String {
    match leaves {
        None => "no backup holds it".to_owned(),
        Some(Leaves::Never) => "not while newer sets lack rows".to_owned(),
        Some(Leaves::By { day, awaited }) => {
            let conditions: Vec<&str> = awaited.into_iter().map(condition).collect();
            let once = if conditions.is_empty() { "" } else { ", once a newer set " };
            format!("{}{once}{}", day.strftime("%Y-%m-%d"), conditions.join(" and one "))
        }
    }
}

fn condition(awaited: Awaited) -> &'static str {
    match awaited {
        Awaited::Proof => "is proven",
        Awaited::Redis => "holds Redis's data",
    }
}

/// Formats the decisions for people.
pub(crate) fn to_text(shown: &[Shown]) -> String {
    if shown.is_empty() {
        return "Nothing was forgotten yet.\n".to_owned();
    }
    let head = ["line", "when", "rows", "what", "by", "last backup with it", "gone by"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for shown in shown {
        lines.push(vec![
            shown.line.to_string(),
            moment(shown.at),
            shown.rows.map_or_else(|| "open".to_owned(), grouped),
            shown.what.clone(),
            shown.by.clone(),
            shown.last_backup.clone().unwrap_or_else(|| "-".to_owned()),
            shown.gone.clone(),
        ]);
    }
    columns(&lines)
}

fn describe(forget: &Forget) -> String {
    match forget {
        Forget::Keys(keys) => format!("{} by id", keys.hashes.len()),
        Forget::Rows(rows) => of_rows(rows),
    }
}

fn of_rows(rows: &Rows) -> String {
    let mut words = vec![match &rows.types {
        Types::Any => "all".to_owned(),
        Types::Only(kind) => format!("type {kind}"),
        Types::Except(kinds) if kinds.is_empty() => "all".to_owned(),
        Types::Except(kinds) => format!("all but {}", kinds.join(", ")),
    }];
    if rows.tag.is_some() {
        words.push("with a tag".to_owned());
    }
    if rows.agent.is_some() {
        words.push("of an agent".to_owned());
    }
    if let Some(at) = rows.before {
        words.push(format!("before {}", moment(at)));
    }
    if let Some(at) = rows.until {
        words.push(format!("until {}", moment(at)));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(names: &[&str]) -> Vec<SetName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn sets_of_a_wrong_clock_may_hold_what_was_forgotten() {
        let count = |names: &[&str]| {
            let moment = |text: &str| text.parse::<Timestamp>().unwrap();
            with_row_of(&sets(names), moment("2026-01-03T05:30:00.5Z"), moment("2026-01-09T12:00:00Z"))
        };
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&["000002-20260104T040000Z"]), 0);
        assert_eq!(
            count(&["000001-20260103T040000Z", "000002-20260103T053000Z", "000003-20260103T053001Z"]),
            2
        );
        // Before one that holds it, or ahead of the present time.
        assert_eq!(count(&["000001-20260108T040000Z", "000002-20260103T040000Z"]), 2);
        assert_eq!(count(&["000001-20270101T040000Z", "000002-20260104T040000Z"]), 1);
    }

    #[test]
    fn the_day_is_told_with_what_it_depends_on() {
        let day = "2026-01-15T00:00:00Z".parse().unwrap();
        let told = |awaited: &[Awaited]| {
            in_words(Some(Leaves::By { day, awaited: awaited.iter().copied().collect() }))
        };
        assert_eq!(told(&[]), "2026-01-15");
        assert_eq!(told(&[Awaited::Proof]), "2026-01-15, once a newer set is proven");
        assert_eq!(
            told(&[Awaited::Redis, Awaited::Proof]),
            "2026-01-15, once a newer set is proven and one holds Redis's data"
        );
    }
}
