//! The run's lines in the ledger. The ledger is held only while they are written, not while minutes of deleting and cleaning
//! go by: whoever forgets one episode at once writes a line in between, which is the next run's to finish.

use std::collections::BTreeSet;
use std::time::Duration;

use nexus_cli::failure::Result;
use nexus_ledger::{Decision, Done, Keys, Ledger, LedgerFile, Line, What};

use crate::APPLICATION;
use crate::args::Args;
use crate::selection::Selection;

/// How long the ledger is waited for: each who forgets one episode holds it for some seconds at most, but they may be many.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lines that a run carries out.
pub(crate) struct Decided {
    /// Of runs before it, and of single requests.
    pub(crate) old: Vec<Line>,
    /// Its own.
    pub(crate) new: Vec<Line>,
}

/// The existing lines to carry out: the open ones, and with `--replay` every line since `--since`.
pub(crate) fn to_carry_out(args: &Args, ledger: &Ledger) -> Vec<Line> {
    let mut lines = ledger.open();
    if args.replay {
        let is_meant = |line: &&Line| args.since.is_none_or(|since| line.entry.at >= since);
        lines.extend(ledger.lines().iter().filter(|line| line.decision().is_some()).filter(is_meant));
        lines.sort_by_key(|line| line.number);
        lines.dedup_by_key(|line| line.number);
    }
    lines.into_iter().cloned().collect()
}

/// Those of `lines` to which NEXUS_PURGE_MAX_SHARE applies: a replay may meet rows that its decisions did not mean, and no run
/// of this machine may have measured an open decision.
pub(crate) fn to_measure<'a>(args: &Args, lines: &'a [Line]) -> Vec<&'a Decision> {
    let decisions = lines.iter().filter_map(Line::decision);
    decisions.filter(|decision| args.replay || !decision.agreed).collect()
}

/// Records what was requested, before any of it is done, and whether a person `agreed` to it.
///
/// # Errors
/// As [`LedgerFile::open`] and [`LedgerFile::append`]; nothing may be deleted then.
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

/// Records that `lines`, each with its number of deleted rows, are done. Skips a line that was done before.
///
/// # Errors
/// As [`write()`]; the next run does them again then.
pub(crate) fn are_done<'a>(
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
