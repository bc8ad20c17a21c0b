//! What was forgotten since the set was taken is forgotten again, in the restored copy and before it takes its place; and the
//! ledger that says so becomes this machine's.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use age::secrecy::ExposeSecret;
use nexus_core::credentials;
use nexus_core::failure::{OrFailIo, Result};
use nexus_core::journal::message_id;
use nexus_core::ledger::{Decision, Head, Keys, LedgerFile, Line, Side, What, carry_out_alone, merge};
use nexus_core::restoring::forget::{self, Copy, Forbidden, Ledgers};
use nexus_core::set::lock::Lock;
use nexus_core::set::seal::NewFile;
use nexus_core::text::counted;

use crate::APPLICATION;
use crate::apply::Restore;

/// How long the ledger is waited for before the swap.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the ledgers, so that one that is damaged is known before anything is made.
///
/// # Errors
/// Data (65).
pub(crate) fn check(restore: &Restore<'_>) -> Result<()> {
    forget::ledgers(&restore.making, &restore.args.purge_ledger).map(|_| ())
}

/// What was forgotten again.
#[derive(Default)]
pub(crate) struct Forgotten {
    /// Rows.
    pub(crate) rows: u64,
    /// Both ledgers and the ids of those rows, for the copies in Redis; nothing where nothing was ever forgotten.
    pub(crate) forbidden: Option<Forbidden>,
    /// How far this machine's ledger was carried out.
    until: Option<Head>,
}

/// Forgets in the restored copy what the ledgers of this machine and of the set forbid.
///
/// # Errors
/// Data (65) when a ledger is damaged; else the server's. Nothing was replaced then.
pub(crate) fn again(restore: &mut Restore<'_>) -> Result<Forgotten> {
    let Some(ledgers) = forget::ledgers(&restore.making, &restore.args.purge_ledger)? else {
        return Ok(Forgotten::default());
    };
    let mut forbidden = Forbidden::named(&ledgers);
    let rows = carry_out(restore, &ledgers, &mut forbidden)?;
    let Ledgers { keys, copy, has_new_keys, machine } = ledgers;
    let mut until = machine.head();
    if restore.args.into.is_none()
        && let Some(copy) = copy
    {
        until = take_over(restore, &keys, has_new_keys, &copy, until)?;
    }
    Ok(Forgotten { rows, forbidden: Some(forbidden), until })
}

/// The ledger, and the right to carry it out.
pub(crate) struct Held {
    _alone: Lock,
    _ledger: Lock,
}

/// Keeps the ledger from growing while it is held, until the swap is done, and forgets again what came into it since
/// [`again`]: whoever forgot an episode meanwhile forgot it in the database that goes.
///
/// # Errors
/// TryLater (75) while somebody else holds it; else as [`again`]. Nothing was replaced then.
pub(crate) fn hold(restore: &mut Restore<'_>, forgotten: &mut Forgotten) -> Result<Option<Held>> {
    let path = restore.args.purge_ledger.clone();
    let Some(directory) = path.parent().filter(|directory| directory.is_dir()) else { return Ok(None) };
    let alone = carry_out_alone(&path, APPLICATION, PATIENCE)?;
    let held = Some(Held { _alone: alone, _ledger: Lock::take_within(directory, APPLICATION, PATIENCE)? });
    let Some(ledgers) = forget::ledgers(&restore.making, &path)? else { return Ok(held) };
    if ledgers.machine.head() != forgotten.until {
        let mut forbidden = forgotten.forbidden.take().unwrap_or_else(|| Forbidden::named(&ledgers));
        forbidden.name(&ledgers);
        forgotten.rows += carry_out(restore, &ledgers, &mut forbidden)?;
        forgotten.forbidden = Some(forbidden);
    }
    Ok(held)
}

/// Forgets in the restored copy what `ledgers` forbid, and adds the ids to `forbidden`; gives how many rows that were.
fn carry_out(restore: &mut Restore<'_>, ledgers: &Ledgers, forbidden: &mut Forbidden) -> Result<u64> {
    let rows = forget::again(&restore.making, ledgers, &mut |ids| {
        forbidden.add(ids);
        Ok(())
    })?;
    if rows > 0 {
        let set = restore.making.set.name.to_string();
        log::info!(
            MESSAGE_ID = message_id::REPLAYED, NEXUS_JOB = "restore", NEXUS_BACKUP = set.as_str(), NEXUS_ROWS = rows;
            "forgot {} of set {set} again, as the purge ledger says", counted(rows, "row")
        );
        restore.making.note(format!(
            "{} of the set had been forgotten since and were forgotten again",
            counted(rows, "row")
        ));
    }
    Ok(rows)
}

/// The longer ledger, or of two that have gone different ways the newer with what only the other decided, becomes this
/// machine's; and so do the set's keys. Before the swap: a ledger that knows more than it must forbids nothing too much.
/// Gives how far what is there then was carried out, when it was until `until` before.
fn take_over(
    restore: &mut Restore<'_>,
    keys: &Keys,
    has_new_keys: bool,
    copy: &Copy,
    until: Option<Head>,
) -> Result<Option<Head>> {
    let path = restore.args.purge_ledger.clone();
    if !path.parent().is_some_and(Path::is_dir) {
        restore.making.note(format!(
            "the set's purge ledger was carried out, but not kept: there is no directory for {}",
            path.display()
        ));
        return Ok(until);
    }
    if has_new_keys {
        write_keys(keys)?;
    }
    // A purge that is at work ends first: the lines that it is to call done may get another place.
    let _alone = carry_out_alone(&path, APPLICATION, PATIENCE)?;
    let mut file = LedgerFile::open(&path, keys.clone(), APPLICATION)?;
    let machine = file.ledger().clone();
    let is_as_it_was = machine.head() == until;
    let merged = merge(&machine, &copy.ledger);
    let set = format!("set {}", restore.making.id());
    let loser = if merged.wins == Side::Set { "this machine" } else { set.as_str() };
    let adopted: Vec<Decision> = merged.adopt.iter().filter_map(|line| adopt(line)).collect();
    if merged.wins == Side::Set {
        file.replace(&copy.text, copy.ledger.clone(), keys.clone())?;
    }
    if !adopted.is_empty() {
        let by = format!("{APPLICATION}: taken over from the ledger of {loser}");
        restore.making.note(format!(
            "the purge ledgers of this machine and of {set} had gone different ways: the newer goes on, and {} taken over from that of {loser}",
            counted(adopted.len() as u64, "decision was").replace("decision wass", "decisions were")
        ));
        for decision in adopted {
            file.append(&by, What::Decision(Box::new(decision)))?;
        }
    }
    // What somebody else has written in between is still to be carried out.
    Ok(if is_as_it_was { file.ledger().head() } else { until })
}

/// The decision of a line, saying where it was first written.
fn adopt(line: &Line) -> Option<Decision> {
    let mut decision = line.decision()?.clone();
    decision.adopted.get_or_insert(line.mac);
    Some(decision)
}

/// Writes credential `ledger_key` anew, in one step.
fn write_keys(keys: &Keys) -> Result<()> {
    let path = credentials::path_of("ledger_key");
    let new = path.with_extension("new");
    let doing = || format!("writing credential {}", path.display());
    if let Err(error) = std::fs::remove_file(&new)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error).or_fail_io(doing);
    }
    let mut file = NewFile::create(&new)?;
    file.write_all(keys.to_text().expose_secret().as_bytes()).or_fail_io(doing)?;
    file.finish()?;
    std::fs::rename(&new, &path).or_fail_io(doing)
}
