//! What was forgotten since the set was taken is forgotten again, in the restored copy and before it takes its place; and the
//! ledger that says so becomes this machine's.

use std::io::{BufReader, Read, Write};
use std::path::Path;

use age::Identity;
use age::secrecy::ExposeSecret;
use nexus_core::credentials;
use nexus_core::failure::{Exit, Failure, OrFailIo, Result};
use nexus_core::forgetting::{Forgetting, OnReference, replay};
use nexus_core::journal::message_id;
use nexus_core::ledger::{
    Decision, Keys, Ledger, LedgerFile, Line, OfSet, Side, What, merge, outstanding, read,
};
use nexus_core::postgres::blocking::Control;
use nexus_core::postgres::quote;
use nexus_core::set::seal::NewFile;
use nexus_core::set::{LEDGER, LEDGER_KEY, open};
use nexus_core::text::counted;

use crate::APPLICATION;
use crate::apply::Restore;

/// The largest ledger and the largest file of keys that are read, in bytes.
const LARGEST: u64 = 64 << 20;

/// The most rows of a step: nobody else is in the database.
const AT_ONCE: u32 = 10_000;

/// The set's copy of the ledger.
struct Copy {
    text: Vec<u8>,
    ledger: Ledger,
}

/// Both ledgers and all keys for them.
struct Ledgers {
    keys: Keys,
    machine: Ledger,
    copy: Option<Copy>,
    /// Whether this machine lacks some of the keys.
    has_new_keys: bool,
}

/// Reads the ledgers, so that one that is damaged is known before anything is made.
///
/// # Errors
/// Data (65).
pub(crate) fn check(restore: &Restore<'_>) -> Result<()> {
    ledgers(restore).map(|_| ())
}

/// Nothing when neither the machine nor the set has a ledger: then nothing was ever forgotten.
fn ledgers(restore: &Restore<'_>) -> Result<Option<Ledgers>> {
    let making = &restore.making;
    let of_set = keys_of_set(&making.set.path, &making.unlock.identities()?)?;
    let of_machine = keys_of_machine(&restore.args.purge_ledger)?;
    let has_new_keys = match (&of_machine, &of_set) {
        (Some(machine), Some(set)) => !machine.contain(set),
        (machine, set) => machine.is_none() && set.is_some(),
    };
    let keys = match (of_machine, of_set) {
        (Some(machine), Some(set)) => machine.with(&set),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return Ok(None),
    };
    let copy = copy_of_set(restore, &keys)?;
    let machine = read(&restore.args.purge_ledger, &keys)?;
    Ok(Some(Ledgers { keys, machine, copy, has_new_keys }))
}

/// Forgets in the restored copy what the ledgers of this machine and of the set forbid; gives how many rows that were.
///
/// # Errors
/// Data (65) when a ledger is damaged; else the server's. Nothing was replaced then.
pub(crate) fn again(restore: &mut Restore<'_>) -> Result<u64> {
    let Some(ledgers) = ledgers(restore)? else { return Ok(0) };
    let Ledgers { keys, machine, copy, has_new_keys } = ledgers;
    let set = OfSet {
        ledger: copy.as_ref().map(|copy| &copy.ledger),
        settled: restore.making.manifest.ledger.as_ref().map_or(0, |ledger| ledger.settled),
        taken: restore.making.manifest.taken,
    };
    let owed: Vec<&Decision> = outstanding(&machine, set).into_iter().filter_map(Line::decision).collect();
    let rows = carry_out(restore, &keys, &owed)?;
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
    if restore.args.into.is_none()
        && let Some(copy) = copy
    {
        take_over(restore, &keys, has_new_keys, &copy)?;
    }
    Ok(rows)
}

fn carry_out(restore: &Restore<'_>, keys: &Keys, owed: &[&Decision]) -> Result<u64> {
    if owed.is_empty() {
        return Ok(0);
    }
    let making = &restore.making;
    let on = Forgetting {
        server: &making.server,
        database: &making.database,
        keys,
        hints: &[],
        // Whoever refers to a forgotten row had gone, or was let go, when it was forgotten.
        on_reference: OnReference::Cascade,
        most_rows: AT_ONCE,
        gently: false,
        progress: making.progress,
        stop: making.stop,
    };
    let replayed = replay(&on, owed, &mut |_| Ok(()))?;
    if replayed.total() > 0 {
        let control = Control::open(&making.server, &making.database, making.stop)?;
        let mut tables: Vec<_> =
            owed.iter().map(|one| quote::qualified(&one.table.schema, &one.table.table)).collect();
        tables.sort();
        tables.dedup();
        for (name, exists) in tables.iter().map(|name| {
            (name, format!("SELECT pg_catalog.to_regclass({}) IS NOT NULL", quote::literal(name)))
        }) {
            let doing = format!("vacuuming {name}");
            if control.row(&doing, &exists, &[])?.get(0) {
                control
                    .run_while(&doing, &format!("VACUUM (ANALYZE) {name}"), || making.progress.advance(0))?;
            }
        }
    }
    Ok(replayed.total())
}

/// The longer ledger, or of two that have gone different ways the newer with what only the other decided, becomes this
/// machine's; and so do the set's keys. Before the swap: a ledger that knows more than it must forbids nothing too much.
fn take_over(restore: &mut Restore<'_>, keys: &Keys, has_new_keys: bool, copy: &Copy) -> Result<()> {
    let path = restore.args.purge_ledger.clone();
    if !path.parent().is_some_and(Path::is_dir) {
        restore.making.note(format!(
            "the set's purge ledger was carried out, but not kept: there is no directory for {}",
            path.display()
        ));
        return Ok(());
    }
    if has_new_keys {
        write_keys(keys)?;
    }
    let mut file = LedgerFile::open(&path, keys.clone(), APPLICATION)?;
    let machine = file.ledger().clone();
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
    Ok(())
}

/// The decision of a line, saying where it was first written.
fn adopt(line: &Line) -> Option<Decision> {
    let mut decision = line.decision()?.clone();
    decision.adopted.get_or_insert(line.mac);
    Some(decision)
}

fn keys_of_machine(ledger: &Path) -> Result<Option<Keys>> {
    match Keys::read() {
        Ok(keys) => Ok(Some(keys)),
        // A machine without a ledger needs no key for it.
        Err(failure) if failure.exit() == Exit::Settings && !ledger.exists() => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn keys_of_set(set: &Path, identities: &[Box<dyn Identity>]) -> Result<Option<Keys>> {
    let path = set.join(LEDGER_KEY);
    let Some(text) = whole_file(&path, identities)? else { return Ok(None) };
    let doing = || format!("reading {}", path.display());
    let text =
        String::from_utf8(text).map_err(|_| Failure::new(Exit::Data, doing()).because("it is no text"))?;
    Keys::parse(&text).map(Some).map_err(|why| Failure::new(Exit::Data, doing()).because(why))
}

fn copy_of_set(restore: &Restore<'_>, keys: &Keys) -> Result<Option<Copy>> {
    let path = restore.making.set.path.join(LEDGER);
    let Some(text) = whole_file(&path, &restore.making.unlock.identities()?)? else { return Ok(None) };
    let ledger = Ledger::parse(&*text, keys).map_err(|broken| {
        Failure::new(Exit::Data, format!("reading {}", path.display()))
            .because(broken.to_string())
            .advise("The set is damaged: use another one (nexus-restore verify finds which are whole)")
    })?;
    Ok(Some(Copy { text, ledger }))
}

/// A file of the set, if the set has it.
fn whole_file(path: &Path, identities: &[Box<dyn Identity>]) -> Result<Option<Vec<u8>>> {
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let input = open::open(path, identities)?;
    BufReader::new(input)
        .take(LARGEST)
        .read_to_end(&mut bytes)
        .map_err(|cause| open::damaged(path, cause))?;
    Ok(Some(bytes))
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
