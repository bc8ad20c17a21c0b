//! Forgets again what was forgotten since the set was taken, in the restored copy and before the swap. The ledger that records
//! it becomes this machine's with the swap.

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
use crate::handing::Handing;

/// How long the ledger is waited for before the swap.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the ledgers, so that a damaged one is found before anything is created. Returns the number of lines of the set's
/// ledger if this machine lacks keys of it: then it is another machine's.
///
/// # Errors
/// Data (65).
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
    /// Rows.
    pub(crate) rows: u64,
    /// Rows of other tables that referred to them.
    pub(crate) referring: Referring,
    /// Both ledgers and the ids of those rows, for the copies in Redis; nothing where nothing was ever forgotten.
    pub(crate) forbidden: Option<Forbidden>,
    /// The tables that they were in.
    tables: Vec<GoneOf>,
    /// How far this machine's ledger was carried out.
    until: Option<Head>,
}

/// Forgets in the restored copy what the ledgers of this machine and of the set forbid. Asks if that is a large part of a
/// table that will replace a living one.
///
/// # Errors
/// Data (65) when a ledger is damaged; Usage (64) when the answer is not yes; else the server's. Nothing was replaced then.
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
            let question = format!("Of {of} rows of {table} the purge ledger forgets {rows} again.");
            confirm(&question, restore.args.yes)?;
        }
    }
    Ok(forgotten)
}

/// Keeps the ledger from growing while it is held, until the swap is done, and forgets again what came into it since
/// [`again`]: an episode forgotten meanwhile was forgotten in the old database. Returns what becomes of the ledger; `None` if
/// there is no directory for one.
///
/// # Errors
/// TryLater (75) while somebody else holds it; else as [`again`]. Nothing was replaced then.
pub(crate) fn hold(restore: &mut Restore<'_>, forgotten: &mut Forgotten) -> Result<Option<Handing>> {
    let path = restore.args.ledger.purge_ledger.to_path_buf();
    let Some(directory) = path.parent().filter(|directory| directory.is_dir()) else { return Ok(None) };
    let alone = carry_out_alone(&path, APPLICATION, PATIENCE)?;
    let lock = Lock::take_within(directory, APPLICATION, PATIENCE)?;
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
    Ok(Some(Handing::new(&path, alone, lock, merged)))
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
            "{} of the set had been forgotten since and were forgotten again",
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

/// Whether the next nexus-purge cleans the files, for which the ledger gets an open line.
fn is_cleaned_later(restore: &Restore<'_>) -> bool {
    restore.args.into.is_none() && restore.args.ledger.purge_ledger.parent().is_some_and(Path::is_dir)
}
