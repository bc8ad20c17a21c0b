//! The ledgers of kept databases: those that a restore has replaced. Each is a copy made when its
//! database was replaced, so that an undo restores it too. They are in `purge-ledger.kept` beside
//! the ledger. Keys that the machine no longer uses are beside the credential.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_digest::Digest;
use nexus_fs::files as disk;
use nexus_fs::new_file::{self, sync_directory};
use serde::{Deserialize, Serialize};

use super::chain::Line;
use super::draft::Draft;
use super::file::{read_text, remove_if_there};
use super::handover::Files;
use super::key::Keys;

/// The metadata of the ledger of a kept database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The name of the kept database.
    pub database: String,
    /// The decisions that had come from another machine when the database was replaced, each
    /// identified by its origin ([`Line::origin`]).
    pub foreign: BTreeSet<Digest>,
}

/// Keeps `draft`, the current ledger of the database that `kept` describes.
///
/// # Errors
/// I/O.
pub fn keep(files: &Files, kept: &Kept, draft: &Draft) -> Result<()> {
    let directory = directory(files);
    if !directory.is_dir() {
        disk::create_directory(&directory)
            .or_fail_io(|| format!("creating directory {}", directory.display()))?;
    }
    let stem = stem(files, &kept.database);
    draft.keys().write_to(&keys_path(files, &kept.database))?;
    new_file::write(&stem.with_extension("jsonl"), draft.text())?;
    let json =
        serde_json::to_vec(kept).or_fail(Exit::Software, || "writing the metadata of a kept database")?;
    // Written last and atomically: the other files are complete then.
    let new = directory.join("new");
    new_file::write(&new, &json)?;
    disk::rename(&new, &stem.with_extension("json")).or_fail_io(|| format!("writing {}", stem.display()))?;
    sync_directory(&directory)
}

/// Returns the ledger that was kept with `database`, if any.
///
/// # Errors
/// I/O; Data (65) when it is damaged.
pub fn find(files: &Files, database: &str) -> Result<Option<Draft>> {
    let stem = stem(files, database);
    if !stem.with_extension("json").exists() {
        return Ok(None);
    }
    let path = keys_path(files, database);
    let keys = Keys::read_from(&path)?.ok_or_else(|| {
        Failure::new(Exit::Data, "reading the ledger of a kept database")
            .because(format!("{} does not exist", path.display()))
    })?;
    read_text(&stem.with_extension("jsonl"), keys).map(Some)
}

/// Returns the metadata of the ledgers of all kept databases.
///
/// # Errors
/// I/O; Data (65) when one is damaged.
pub fn all(files: &Files) -> Result<Vec<Kept>> {
    let directory = directory(files);
    let doing = || format!("reading {}", directory.display());
    let mut kept = Vec::new();
    for entry in fs::read_dir(&directory).if_there(doing)?.into_iter().flatten() {
        let file = entry.or_fail_io(doing)?.path();
        if file.extension().is_some_and(|extension| extension == "json") {
            let json = disk::read(&file).or_fail_io(doing)?;
            kept.push(
                serde_json::from_slice(&json)
                    .or_fail(Exit::Data, || format!("reading {}", file.display()))?,
            );
        }
    }
    Ok(kept)
}

/// Removes the ledger that was kept with `database`, which no longer exists.
///
/// # Errors
/// I/O.
pub fn forget(files: &Files, database: &str) -> Result<()> {
    let stem = stem(files, database);
    for extension in ["json", "jsonl"] {
        remove_if_there(&stem.with_extension(extension))?;
    }
    remove_if_there(&keys_path(files, database))
}

/// Returns the decisions in `now` that were made on this machine and are not in `then`.
pub fn since<'a>(now: &'a [Line], then: &Draft, foreign: &BTreeSet<Digest>) -> Vec<&'a Line> {
    let known: BTreeSet<Digest> = then.ledger().lines().iter().filter_map(Line::origin).collect();
    let is_new = |line: &&Line| {
        line.origin().is_some_and(|origin| !known.contains(&origin) && !foreign.contains(&origin))
    };
    now.iter().filter(is_new).collect()
}

/// Returns the path of `purge-ledger.kept`.
fn directory(files: &Files) -> PathBuf {
    files.ledger.with_extension("kept")
}

/// A database's name may contain any character, so its digest names the files.
fn stem(files: &Files, database: &str) -> PathBuf {
    directory(files).join(short(database))
}

fn keys_path(files: &Files, database: &str) -> PathBuf {
    files.credential.with_extension(format!("kept-{}", short(database)))
}

fn short(database: &str) -> String {
    let mut digest = Digest::of(database.as_bytes()).to_string();
    digest.truncate(16);
    digest
}
