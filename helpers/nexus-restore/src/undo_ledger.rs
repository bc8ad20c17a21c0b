//! The ledger in an undo: the ledger of the old database comes back with it. nexus-restore then forgets in that database what
//! was forgotten since the swap.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use nexus_backup_set::name::SetName;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_cli::text::counted;
use nexus_fs::lock::Lock;
use nexus_ledger::forgetting::{CodeOfOthers, Forgetting, replay, shares};
use nexus_ledger::handover::Files;
use nexus_ledger::{
    Decision, Done, Draft, Keys, Line, TableColumns, What, carry_out_alone, kept, read, read_text,
};
use nexus_postgres::server::Server;

use crate::APPLICATION;
use crate::apply::forget::LOCK_TIMEOUT;
use crate::apply::merged::{Merged, mark_for_cleaning};
use crate::apply::names;
use crate::args::UndoArgs;
use crate::handover::Handover;

/// Rows per step. No other session uses that database, so steps can be large.
const ROWS_PER_STEP: u32 = 10_000;

/// Forgets in database `back` what was forgotten since it was put aside. Returns the new ledger, or `None` if nothing was ever
/// forgotten, and the number of deleted rows.
///
/// # Errors
/// TryLater (75) while another process holds the ledger; Data (65) if a ledger is damaged.
pub(crate) fn forget_again(
    args: &UndoArgs,
    server: &Server,
    back: &str,
    stop: &Stop,
) -> Result<(Option<Handover>, u64)> {
    let path = &args.ledger.purge_ledger;
    let files = Files::of(path);
    let then = kept::find(&files, back)?;
    if then.is_none() && !path.exists() {
        return Ok((None, 0));
    }
    let keys = Keys::read()?;
    let alone = carry_out_alone(path, APPLICATION, LOCK_TIMEOUT)?;
    let lock = Lock::take_within(path.parent().unwrap_or(Path::new("/")), APPLICATION, LOCK_TIMEOUT)?;
    // Check the ledger's end too: a decision in a missing last line would be lost.
    read(path, &keys)?;
    let before = read_text(path, keys)?;
    let foreign: BTreeSet<_> = kept::all(&files)?.into_iter().flat_map(|kept| kept.foreign).collect();
    let since = match &then {
        Some(then) => kept::since(before.ledger().lines(), then, &foreign),
        None => since_kept_at(before.ledger().lines(), back, &args.server.database),
    };
    let since: Vec<(&Line, &Decision)> =
        since.into_iter().filter_map(|line| Some((line, line.decision()?))).collect();
    let decisions: Vec<&Decision> = since.iter().map(|(_, decision)| *decision).collect();
    let progress = Progress::new(!args.json);
    let forgetting = Forgetting {
        server,
        database: back,
        keys: before.keys(),
        hints: &[],
        on_reference: args.ledger.limits.referring,
        code_of_others: CodeOfOthers::Refused,
        most_rows: ROWS_PER_STEP,
        gently: false,
        progress: &progress,
        stop,
    };
    let gone = carry_out(&forgetting, &decisions, args.ledger.limits.max_share);
    progress.finish();
    let gone = gone?;
    let mut after = then.unwrap_or_else(|| before.clone());
    carry_over(&mut after, &before, &since, gone.as_deref())?;
    let rows = gone.iter().flatten().sum();
    let merged = Merged { before, after, foreign: BTreeSet::new() };
    Ok((Some(Handover::new(path, alone, lock, merged)), rows))
}

/// Carries out the decisions. Returns the rows deleted by each; `None` if it leaves them to nexus-purge, which says why.
fn carry_out(
    forgetting: &Forgetting<'_>,
    decisions: &[&Decision],
    max_share: u64,
) -> Result<Option<Vec<u64>>> {
    if decisions.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let shares = match shares(forgetting, decisions) {
        Ok(shares) => shares,
        Err(failure) => return left_open(failure),
    };
    for share in shares {
        if share.rows * 100 > share.of * max_share {
            log::warn!(
                "decisions made since the restore would delete {} of the {} of {}: the next nexus-purge asks before it carries \
                 them out",
                share.rows,
                counted(share.of, "row"),
                share.table
            );
            return Ok(None);
        }
    }
    match replay(forgetting, decisions, &mut |_| Ok(())) {
        Ok(replayed) => Ok(Some(replayed.rows)),
        Err(failure) => left_open(failure),
    }
}

/// Leaves the decisions to nexus-purge, which reports the same failure until the cause is corrected: the undo must remain possible.
///
/// # Errors
/// Any other failure than Data (65) or Settings (78).
fn left_open(failure: Failure) -> Result<Option<Vec<u64>>> {
    if ![Exit::Data, Exit::Settings].contains(&failure.exit()) {
        return Err(failure);
    }
    log::warn!("{failure}. The next nexus-purge tries again");
    Ok(None)
}

/// Appends the decisions `since` the swap, which are lines of `before`, to `after`, the restored ledger.
fn carry_over(
    after: &mut Draft,
    before: &Draft,
    since: &[(&Line, &Decision)],
    gone: Option<&[u64]>,
) -> Result<()> {
    let is_known = |decision: &Decision| decision.key().is_none_or(|key| after.keys().find(key).is_some());
    if !since.iter().all(|(_, decision)| is_known(decision)) {
        *after = Draft::of(after.text().to_vec(), after.ledger().clone(), after.keys().with(before.keys()));
    }
    let mut tables: Vec<(&TableColumns, u64)> = Vec::new();
    let known: BTreeSet<_> = after.ledger().lines().iter().filter_map(Line::origin).collect();
    for (number, (line, decision)) in since.iter().enumerate() {
        let rows = gone.and_then(|gone| gone.get(number)).copied().unwrap_or(0);
        match tables.iter_mut().find(|(table, _)| **table == decision.table) {
            Some((_, sum)) => *sum += rows,
            None => tables.push((&decision.table, rows)),
        }
        if line.origin().is_some_and(|origin| known.contains(&origin)) {
            continue;
        }
        let decision = Decision { adopted: line.origin(), agreed: false, ..(*decision).clone() };
        let by = format!("{APPLICATION} undo: decided meanwhile, {}", line.entry.by);
        let of = after.append(&by, What::Decision(Box::new(decision)))?.mac;
        if gone.is_some() {
            after.append(APPLICATION, What::Done(Done { of, rows }))?;
        }
    }
    for (table, rows) in tables.into_iter().filter(|(_, rows)| *rows > 0) {
        let by =
            format!("{APPLICATION} undo: forgotten again; nexus-purge must still clean the table's files");
        mark_for_cleaning(after, table, rows, &by)?;
    }
    Ok(())
}

/// Returns the decisions since the time in the database's name, if it was kept without its ledger.
fn since_kept_at<'a>(lines: &'a [Line], back: &str, live: &str) -> Vec<&'a Line> {
    let kept = names::kept_at(back, live).and_then(|stamp| format!("000000-{stamp}").parse::<SetName>().ok());
    let at = kept.map_or(Timestamp::UNIX_EPOCH, |name| name.taken);
    lines.iter().filter(|line| line.decision().is_some() && line.entry.at >= at).collect()
}
