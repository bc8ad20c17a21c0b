//! When one database replaces another, its ledger replaces the other's. The two steps cannot be
//! atomic together. So, before the databases change names, a note on disk records what must happen
//! to the ledger; the ledger is replaced afterwards. A later run that finds the note asks the server
//! which database is in place, and then finishes or drops the handover.
//!
//! `purge-ledger.handover` names the database, `purge-ledger.next` is its ledger, and
//! `ledger_key.next`, beside the credential, contains its keys. While the note exists, no other
//! process writes the ledger.

use std::path::{Path, PathBuf};

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_fs::files as disk;
use nexus_fs::lock::Lock;
use nexus_fs::new_file::{self, sync_directory};
use serde::{Deserialize, Serialize};

use super::draft::Draft;
use super::file::{LedgerFile, read_text, remove_if_there};
use super::key::Keys;

/// The database that takes over, with its ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDatabase {
    /// The name that the database will have.
    pub database: String,
    /// Its OID. Unlike a name, it is never reused.
    pub oid: u32,
    /// `system_identifier` of its cluster.
    pub cluster: String,
}

/// The paths of a ledger and its keys.
#[derive(Clone, Debug)]
pub struct Files {
    /// The ledger.
    pub ledger: PathBuf,
    /// The credential with its keys.
    pub credential: PathBuf,
}

impl Files {
    /// Returns the paths of the ledger at `path` and of the machine's credential.
    pub fn of(path: &Path) -> Self {
        Self { ledger: path.to_owned(), credential: Keys::path() }
    }

    fn keys(&self) -> Result<Option<Keys>> {
        Keys::read_from(&self.credential)
    }

    /// Returns the path of `ledger_key.next`.
    fn next_keys(&self) -> PathBuf {
        self.credential.with_extension("next")
    }

    /// Returns the path of `purge-ledger.next`.
    fn next(&self) -> PathBuf {
        self.ledger.with_extension("next")
    }

    fn directory(&self) -> &Path {
        self.ledger.parent().unwrap_or(Path::new("/"))
    }
}

/// Notes that `draft` becomes the ledger once database `new` is in place. From then on no other process
/// can write the ledger. The caller must hold its lock.
///
/// # Errors
/// I/O; no note is then written.
pub fn prepare(files: &Files, new: &NewDatabase, draft: &Draft) -> Result<()> {
    new_file::write(&files.next(), draft.text())?;
    draft.keys().write_to(&files.next_keys())?;
    let note = note_path(&files.ledger);
    let doing = || format!("writing {}", note.display());
    let json = serde_json::to_vec(new).or_fail(Exit::Software, doing)?;
    let unfinished = note.with_extension("handover.new");
    new_file::write(&unfinished, &json)?;
    sync_directory(files.directory())?;
    disk::rename(&unfinished, &note).or_fail_io(doing)?;
    sync_directory(files.directory())
}

/// Returns the handover that a killed restore has left, if any.
///
/// # Errors
/// I/O; Data (65) when the note is damaged.
pub fn pending(path: &Path) -> Result<Option<NewDatabase>> {
    let note = note_path(path);
    let doing = || format!("reading {}", note.display());
    let Some(json) = disk::read(&note).if_there(doing)? else { return Ok(None) };
    serde_json::from_slice(&json).or_fail(Exit::Data, doing).map(Some)
}

/// Carries out the noted handover: replaces the ledger, then the keys, then removes the note. After
/// an interruption it can run again. Returns `lock`, the lock of the ledger.
///
/// # Errors
/// I/O; Data (65) when one of the files is damaged. The note then stays.
pub fn complete(files: &Files, lock: Lock) -> Result<Lock> {
    let lock = put_ledger(files, lock)?;
    put_keys(files)?;
    drop_note(files)?;
    Ok(lock)
}

fn put_ledger(files: &Files, lock: Lock) -> Result<Lock> {
    // The keys are already in place if an earlier run was interrupted after that.
    let (next, current) = (Keys::read_from(&files.next_keys())?, files.keys()?);
    let Some(keys) = next.or_else(|| current.clone()) else {
        return Err(Failure::new(Exit::Settings, "handing the purge ledger over")
            .because(format!("{} does not exist", files.credential.display()))
            .advise("Put it back from where you keep it, or from a backup set (ledger.key.age)"));
    };
    let draft = read_text(&files.next(), keys.clone())?;
    let both = current.map_or_else(|| keys.clone(), |current| keys.with(&current));
    let mut file = LedgerFile::of_holder(&files.ledger, both, lock)?;
    file.replace(draft.text(), draft.ledger().clone(), keys)?;
    Ok(file.into_lock())
}

fn put_keys(files: &Files) -> Result<()> {
    let doing = || format!("writing credential {}", files.credential.display());
    match disk::rename(&files.next_keys(), &files.credential).if_there(doing)? {
        None => Ok(()),
        Some(()) => sync_directory(files.credential.parent().unwrap_or(Path::new("/"))),
    }
}

/// Drops the noted handover: the database is not in place.
///
/// # Errors
/// I/O.
pub fn abandon(files: &Files) -> Result<()> {
    drop_note(files)
}

/// Refuses to write a ledger while a handover is pending.
pub(super) fn refuse_pending(path: &Path) -> Result<()> {
    if pending(path)?.is_none() {
        return Ok(());
    }
    Err(Failure::new(Exit::TryLater, format!("opening the purge ledger {}", path.display()))
        .because("a restore was killed before it put the purge ledger of the new database in place")
        .advise("Finish it with: nexus-restore finish"))
}

/// Removes the files of a restore that was killed before it wrote the note. The caller must hold
/// the lock of restores.
///
/// # Errors
/// I/O.
pub fn sweep(files: &Files) -> Result<()> {
    if pending(&files.ledger)?.is_some() {
        return Ok(());
    }
    remove_if_there(&files.next())?;
    remove_if_there(&files.next_keys())
}

fn drop_note(files: &Files) -> Result<()> {
    // Remove the note first: without it the other files mean nothing.
    remove_if_there(&note_path(&files.ledger))?;
    sync_directory(files.directory())?;
    remove_if_there(&files.next())?;
    remove_if_there(&files.next_keys())
}

/// Returns the path of `purge-ledger.handover`.
fn note_path(path: &Path) -> PathBuf {
    path.with_extension("handover")
}

#[cfg(test)]
mod tests;
