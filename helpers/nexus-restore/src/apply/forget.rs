//! Forgets in the restored copy, before the swap, what was forgotten since the set was taken. The ledger that records this
//! becomes this machine's with the swap.

use std::path::Path;
use std::time::Duration;

use nexus_cli::confirm::confirm;
use nexus_cli::failure::Result;
use nexus_cli::journal::message_id;
use nexus_cli::text::counted;
use nexus_fs::lock::Lock;
use nexus_ledger::forgetting::{Referring, told};
use nexus_ledger::{Head, carry_out_alone};
use nexus_restoring::forget::{self, Forbidden, Gone, GoneOf, How, Ledgers};

use crate::APPLICATION;
use crate::apply::{Restore, merged};
use crate::handover::Handover;

/// How long to wait for the ledger's lock.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads the ledgers, to find damage before anything is created. If this machine lacks keys of the set's ledger, that is
/// another machine's: then returns its number of lines.
///
/// # Errors
/// Data (65) if a ledger is damaged.
pub(crate) fn check(restore: &Restore<'_>) -> Result<Option<usize>> {
    let ledgers = forget::ledgers(&restore.making, &restore.args.ledger.purge_ledger)?;
    Ok(ledgers
        .filter(|ledgers| ledgers.has_new_keys)
        .and_then(|ledgers| ledgers.copy)
        .map(|copy| copy.ledger.lines().len()))
}

/// What was forgotten again.
#[derive(Default)]
pub(crate) struct Forgotten {
    /// Number of deleted rows.
    pub(crate) rows: u64,
    /// Rows of other tables that referred to them.
    pub(crate) referring: Referring,
    /// What both ledgers forbid and the ids of those rows, to find copies in Redis; `None` if nothing was ever forgotten.
    pub(crate) forbidden: Option<Forbidden>,
    /// The tables of those rows.
    tables: Vec<GoneOf>,
    /// The last line of this machine's ledger that was carried out.
    until: Option<Head>,
}

/// Forgets in the restored copy what the ledgers of this machine and of the set forbid. If that is a large part of a table that
/// will replace a live one, asks first.
///
/// # Errors
/// Data (65) if a ledger is damaged; Usage (64) if the answer is not yes.
pub(crate) fn again(restore: &mut Restore<'_>, replaces: bool) -> Result<Forgotten> {
    let Some(ledgers) = forget::ledgers(&restore.making, &restore.args.ledger.purge_ledger)? else {
        return Ok(Forgotten::default());
    };
    let mut forgotten = Forgotten {
        forbidden: Some(Forbidden::named(&ledgers)),
        until: ledgers.machine.head(),
        ..Forgotten::default()
    };
    carry_out(restore, &ledgers, &mut forgotten)?;
    for gone in &forgotten.tables {
        if replaces && gone.rows * 100 > gone.of * restore.args.ledger.limits.max_share {
            let (rows, of) = (counted(gone.rows, "row"), gone.of);
            let table = format!("{}.{}", gone.table.schema, gone.table.table);
            let question = format!("The purge ledger forgets {rows} of {table} again, out of {of}.");
            confirm(&question, restore.args.yes)?;
        }
    }
    Ok(forgotten)
}

/// Locks the ledger until the swap is done, and forgets again what was added to it since [`again`]: other programs carried
/// that out only in the old database. Returns the new ledger; `None` if there is no directory for one.
///
/// # Errors
/// TryLater (75) while another process holds the ledger; else those of [`again`].
pub(crate) fn lock_ledger(restore: &mut Restore<'_>, forgotten: &mut Forgotten) -> Result<Option<Handover>> {
    let path = restore.args.ledger.purge_ledger.to_path_buf();
    let Some(directory) = path.parent().filter(|directory| directory.is_dir()) else { return Ok(None) };
    let alone = carry_out_alone(&path, APPLICATION, LOCK_TIMEOUT)?;
    let lock = Lock::take_within(directory, APPLICATION, LOCK_TIMEOUT)?;
    let Some(ledgers) = forget::ledgers(&restore.making, &path)? else { return Ok(None) };
    if ledgers.machine.head() != forgotten.until {
        let mut forbidden = forgotten.forbidden.take().unwrap_or_else(|| Forbidden::named(&ledgers));
        forbidden.name(&ledgers);
        forgotten.forbidden = Some(forbidden);
        carry_out(restore, &ledgers, forgotten)?;
    }
    if restore.args.into.is_some() {
        return Ok(None);
    }
    let merged = merged::merged(restore, &ledgers, &forgotten.tables)?;
    Ok(Some(Handover::new(&path, alone, lock, merged)))
}

/// Forgets in the restored copy what `ledgers` forbid, and adds the result to `forgotten`.
fn carry_out(restore: &mut Restore<'_>, ledgers: &Ledgers, forgotten: &mut Forgotten) -> Result<()> {
    let how = How { on_reference: restore.args.ledger.limits.referring, rewrite: !is_cleaned_later(restore) };
    let Gone { tables, referring } = forget::again(&restore.making, ledgers, how, &mut |ids| {
        if let Some(forbidden) = &mut forgotten.forbidden {
            forbidden.add(ids);
        }
        Ok(())
    })?;
    let rows: u64 = tables.iter().map(|gone| gone.rows).sum();
    if rows > 0 {
        let set = restore.making.set.name.to_string();
        log::info!(
            MESSAGE_ID = message_id::REPLAYED, NEXUS_JOB = "restore", NEXUS_BACKUP = set.as_str(), NEXUS_ROWS = rows;
            "forgot {} of set {set} again, as the purge ledger says", counted(rows, "row")
        );
        restore.making.note(format!(
            "{} of the set, forgotten after the backup, had to be forgotten again",
            counted(rows, "row")
        ));
    }
    for told in told(&referring) {
        restore.making.note(told);
    }
    forgotten.rows += rows;
    forgotten.tables.extend(tables);
    for (table, touched) in referring {
        let sum = forgotten.referring.entry(table).or_default();
        sum.deleted += touched.deleted;
        sum.emptied += touched.emptied;
    }
    Ok(())
}

/// Returns whether the next nexus-purge will clean the tables' files. If so, the ledger gets an open line for it.
fn is_cleaned_later(restore: &Restore<'_>) -> bool {
    restore.args.into.is_none() && restore.args.ledger.purge_ledger.parent().is_some_and(Path::is_dir)
}
