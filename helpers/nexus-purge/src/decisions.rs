//! The run's lines in the ledger. The ledger is held only while they are written, not while minutes of deleting and cleaning
//! go by: whoever forgets one episode at once writes a line in between, which is the next run's to finish.

use std::time::Duration;

use nexus_core::failure::Result;
use nexus_core::ledger::{Done, Keys, Ledger, LedgerFile, Line, What};

use crate::APPLICATION;
use crate::args::Args;
use crate::wishes::Wish;

/// How long the ledger is waited for: each who forgets one episode holds it for some seconds at most, but they may be many.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lines that a run carries out.
pub(crate) struct Decided {
    /// Of runs before it, and of single requests.
    pub(crate) old: Vec<Line>,
    /// Its own.
    pub(crate) new: Vec<Line>,
}

/// The lines that are there and are to be carried out: the open ones, or with `--replay` every one.
pub(crate) fn to_carry_out(args: &Args, ledger: &Ledger) -> Vec<Line> {
    if args.replay {
        ledger.lines().iter().filter(|line| line.decision().is_some()).cloned().collect()
    } else {
        ledger.open().into_iter().cloned().collect()
    }
}

/// Writes down what is wished for, before any of it is done.
///
/// # Errors
/// As [`LedgerFile::open`] and [`LedgerFile::append`]; nothing may be deleted then.
pub(crate) fn write(args: &Args, keys: &Keys, wishes: &[Wish]) -> Result<Decided> {
    let mut ledger = LedgerFile::open_within(&args.purge_ledger, keys.clone(), APPLICATION, PATIENCE)?;
    let old = to_carry_out(args, ledger.ledger());
    let mut new = Vec::new();
    for wish in wishes {
        for decision in &wish.decisions {
            new.push(ledger.append(&wish.by, What::Decision(Box::new(decision.clone())))?);
        }
    }
    Ok(Decided { old, new })
}

/// Writes down that `lines`, each with how many rows went by it, are done.
///
/// # Errors
/// As [`write`]; the next run does them again then.
pub(crate) fn are_done<'a>(
    args: &Args,
    keys: Keys,
    lines: impl Iterator<Item = (&'a Line, u64)>,
) -> Result<()> {
    let mut ledger = LedgerFile::open_within(&args.purge_ledger, keys, APPLICATION, PATIENCE)?;
    for (line, rows) in lines {
        let found = line.decision().and_then(|decision| decision.found).unwrap_or(0);
        ledger.append(APPLICATION, What::Done(Done { of: line.mac, rows: rows.max(found) }))?;
    }
    Ok(())
}
