//! `--ledger`: every decision, and when the last backup that still holds what it forgot will be gone.

use jiff::Timestamp;
use nexus_backup_set::directory::{BackupDirectory, SetEntry};
use nexus_backup_set::name::SetName;
use nexus_backup_set::rotation::{Known, Leaves, leaves};
use nexus_cli::failure::Result;
use nexus_cli::text::{columns, grouped, moment};
use nexus_ledger::{Forget, Keys, Ledger, Line, Rows, Types, What, read};
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
    /// When that is rotated away.
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
    /// Looks.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn read(args: &Args) -> Result<Self> {
        let directory = BackupDirectory::at(&args.backup_dir)?;
        let there = directory.sets()?;
        let names: Vec<SetName> = there.iter().map(|set| set.name).collect();
        let known = Known::read(&directory, &args.proofs_dir, &names)?;
        Ok(Self { directory, there, names, known })
    }

    /// The newest set that holds what the decision of `line` forgot: one from before it was done. The second in which both
    /// fell counts as before.
    fn last_with(&self, ledger: &Ledger, line: &Line) -> Option<SetName> {
        let done = done(ledger, line).map(|(at, _)| at);
        self.names.iter().rfind(|name| done.is_none_or(|done| name.taken <= done)).copied()
    }
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
    let shown = ledger.lines().iter().filter_map(|line| {
        let decision = line.decision()?;
        let last = sets.last_with(&ledger, line);
        let gone = match last.map(|set| leaves(&sets.names, &sets.known, args.retention, set)) {
            None => "no backup holds it".to_owned(),
            Some(Leaves::On(day)) => day.strftime("%Y-%m-%d").to_string(),
            Some(Leaves::OnceProven(day)) => {
                format!("{}, once a newer set is proven", day.strftime("%Y-%m-%d"))
            }
            Some(Leaves::Never) => "never".to_owned(),
        };
        Some(Shown {
            line: line.number,
            at: line.entry.at,
            by: line.entry.by.clone(),
            what: describe(&decision.forget),
            rows: done(&ledger, line).map(|(_, rows)| rows),
            last_backup: last.map(|set| set.to_string()),
            gone,
        })
    });
    Ok(shown.collect())
}

/// For a person.
pub(crate) fn to_text(shown: &[Shown]) -> String {
    if shown.is_empty() {
        return "Nothing was forgotten yet.\n".to_owned();
    }
    let head = ["line", "when", "rows", "what", "by", "last backup with it", "gone on"];
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
