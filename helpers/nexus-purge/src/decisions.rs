//! The run's lines in the ledger. The run locks the ledger only to write them, not while it deletes and cleans for minutes.
//! A request to forget one episode may add a line meanwhile; the next run finishes it.

use std::collections::BTreeSet;
use std::time::Duration;

use nexus_cli::failure::Result;
use nexus_ledger::{Decision, Done, Keys, Ledger, LedgerFile, Line, What};

use crate::APPLICATION;
use crate::args::Args;
use crate::selection::Selection;

/// How long to wait for the ledger. A request to forget one episode holds it for seconds, but there may be many of them.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lines that a run carries out.
pub(crate) struct Decided {
    /// The lines of earlier runs and of single requests.
    pub(crate) old: Vec<Line>,
    /// The lines that this run has written.
    pub(crate) new: Vec<Line>,
}

/// Returns the existing lines to carry out: the open ones, and with `--replay` every decision since `--since`.
pub(crate) fn to_carry_out(args: &Args, ledger: &Ledger) -> Vec<Line> {
    let mut lines = ledger.open();
    if args.replay {
        let is_recent = |line: &&Line| args.since.is_none_or(|since| line.entry.at >= since);
        lines.extend(ledger.lines().iter().filter(|line| line.decision().is_some()).filter(is_recent));
        lines.sort_by_key(|line| line.number);
        lines.dedup_by_key(|line| line.number);
    }
    lines.into_iter().cloned().collect()
}

/// Returns the decisions of `lines` to which NEXUS_PURGE_MAX_SHARE applies. A replay may meet rows that its decisions did not
/// mean; an open decision that nobody agreed to may never have been measured.
pub(crate) fn to_measure<'a>(args: &Args, lines: &'a [Line]) -> Vec<&'a Decision> {
    let decisions = lines.iter().filter_map(Line::decision);
    decisions.filter(|decision| args.replay || !decision.agreed).collect()
}

/// Records what will be deleted, and whether a person `agreed` to it.
///
/// # Errors
/// As [`LedgerFile::open`] and [`LedgerFile::append`]. The caller must then delete nothing.
pub(crate) fn write(args: &Args, keys: &Keys, selections: &[Selection], agreed: bool) -> Result<Decided> {
    let mut ledger = LedgerFile::open_within(&args.purge_ledger, keys.clone(), APPLICATION, PATIENCE)?;
    let old = to_carry_out(args, ledger.ledger());
    let mut new = Vec::new();
    for selection in selections {
        for decision in &selection.decisions {
            let decision = Decision { agreed, ..decision.clone() };
            new.push(ledger.append(&selection.by, What::Decision(Box::new(decision)))?);
        }
    }
    Ok(Decided { old, new })
}

/// Records that `lines`, each with its number of deleted rows, are done. Skips lines that are done already.
///
/// # Errors
/// As [`write()`]. The next run then carries them out again.
pub(crate) fn mark_done<'a>(
    args: &Args,
    keys: Keys,
    lines: impl Iterator<Item = (&'a Line, u64)>,
) -> Result<()> {
    let mut ledger = LedgerFile::open_within(&args.purge_ledger, keys, APPLICATION, PATIENCE)?;
    let open: BTreeSet<u64> = ledger.ledger().open().into_iter().map(|line| line.number).collect();
    for (line, rows) in lines.filter(|(line, _)| open.contains(&line.number)) {
        let found = line.decision().and_then(|decision| decision.found).unwrap_or(0);
        ledger.append(APPLICATION, What::Done(Done { of: line.mac, rows: rows.max(found) }))?;
    }
    Ok(())
}
