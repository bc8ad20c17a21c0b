//! Kept databases: swaps back to one, or removes one.

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::output;
use nexus_cli::stop::Stop;
use nexus_cli::text::{counted, printable};
use nexus_ledger::handover::Files;
use nexus_ledger::kept as kept_ledger;
use nexus_postgres::blocking::Control;
use nexus_postgres::server::Server;

use crate::APPLICATION;
use crate::apply::names;
use crate::apply::{confirm, kept_text, swap, sweep};
use crate::args::{DropKeptArgs, UndoArgs};
use crate::handover;
use crate::remove::drop_database;
use crate::undo_ledger;

/// `nexus-restore undo`: swaps back to a kept database. Keeps the restored one in turn.
///
/// # Errors
/// Usage (64) if no database is kept.
pub(crate) fn undo(args: &UndoArgs, stop: &Stop) -> Result<()> {
    let server = Server::from_settings(&args.server)?.named(APPLICATION);
    let live = &args.server.database;
    let control = Control::beside(&server, live, stop)?;
    let (all, kept) = (databases(&control)?, kept(&control, live)?);
    let back = match &args.kept {
        Some(name) => find(&kept, name)?,
        None => kept.last().ok_or_else(|| none_kept(live))?,
    };
    confirm(
        &format!("Database \"{}\" will take the place of {}.", printable(back), printable(live)),
        args.yes,
    )?;
    sweep::lock(&control)?;
    handover::settle(&args.ledger.purge_ledger, &control)?;
    let (ledger, rows) = undo_ledger::forget_again(args, &server, back, stop)?;
    let aside = names::free(&all, Timestamp::now(), |at| names::undone(live, at));
    let exists = all.contains(live);
    let mut moves = Vec::new();
    if exists {
        moves.push((live.as_str(), aside.as_str()));
    }
    moves.push((back.as_str(), live.as_str()));
    if let Some(ledger) = &ledger {
        ledger.note(&control, back, live, exists.then_some(aside.as_str()))?;
    }
    match (swap::rename(&server, &moves, "", stop), ledger) {
        (Ok(()), Some(mut ledger)) => ledger.hand_over()?,
        (Err(failure), Some(ledger)) => {
            ledger.after_a_failure(&control);
            return Err(failure);
        }
        (swapped, None) => swapped?,
    }
    kept_ledger::forget(&Files::of(&args.ledger.purge_ledger), back)?;
    if args.json {
        let kept = exists.then_some(&aside);
        let answer = serde_json::json!({ "database": live, "was": back, "kept": kept, "forgotten": rows });
        return output::json(&answer);
    }
    let mut text =
        format!("Database {} is again the one kept as \"{}\".\n", printable(live), printable(back));
    text.push_str("Redis is unchanged: undo swaps only the database.\n");
    if rows > 0 {
        text.push_str(&format!(
            "Also deleted there: {} that had been forgotten since.\n",
            counted(rows, "row")
        ));
    }
    if exists {
        text.push_str(&kept_text(&aside));
    }
    output::print(&text)
}

/// `nexus-restore drop-kept`: drops a kept database.
///
/// # Errors
/// Usage (64) if `args.kept` is not a kept database.
pub(crate) fn drop_kept(args: &DropKeptArgs, stop: &Stop) -> Result<()> {
    let server = Server::from_settings(&args.server)?.named(APPLICATION);
    let control = Control::beside(&server, &args.server.database, stop)?;
    let kept = kept(&control, &args.server.database)?;
    let name = find(&kept, &args.kept)?;
    confirm(&format!("Database \"{}\" will be removed for good.", printable(name)), args.yes)?;
    sweep::lock(&control)?;
    drop_database(&server, &control, name)?;
    kept_ledger::forget(&Files::of(&args.purge_ledger), name)?;
    if args.json {
        return output::json(&serde_json::json!({ "removed": name }));
    }
    output::print(&format!("Database \"{}\" is removed.\n", printable(name)))
}

/// Lists the names of all databases.
pub(crate) fn databases(control: &Control) -> Result<Vec<String>> {
    let sql = "SELECT datname::text FROM pg_catalog.pg_database ORDER BY 1";
    Ok(control.rows("looking for the databases", sql, &[])?.iter().map(|row| row.get(0)).collect())
}

/// Lists the databases kept of `live`, oldest first.
fn kept(control: &Control, live: &str) -> Result<Vec<String>> {
    let mut kept: Vec<_> = databases(control)?
        .into_iter()
        .filter_map(|name| names::kept_at(&name, live).map(|when| (when, name)))
        .collect();
    kept.sort();
    Ok(kept.into_iter().map(|(_, name)| name).collect())
}

fn find<'a>(kept: &'a [String], name: &str) -> Result<&'a String> {
    kept.iter().find(|kept| *kept == name).ok_or_else(|| {
        let there: Vec<_> = kept.iter().map(|kept| format!("\"{}\"", printable(kept))).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        Failure::new(Exit::Usage, format!("looking for the kept database \"{}\"", printable(name)))
            .because(format!("the kept databases are: {there}"))
    })
}

fn none_kept(live: &str) -> Failure {
    Failure::new(Exit::Usage, format!("swapping back database {}", printable(live)))
        .because("there is no kept database")
        .advise("To restore a set: nexus-restore list, nexus-restore apply ID")
}
