//! Checks by SHA256SUMS, without a key, whether a set's files are unchanged. It names and ignores
//! foreign files in the directory (of a Mac, a network drive, a file system): no reader of sets
//! opens them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_cli::progress::{Progress, human_bytes};
use nexus_cli::pump::pump;
use nexus_cli::stop::Stop;
use nexus_cli::text::{counted, printable};
use nexus_digest::{Digest, Hasher};
use nexus_fs::files;
use serde::Serialize;

use crate::checksums::Checksums;
use crate::directory::SetEntry;
use crate::manifest::Manifest;
use crate::{CHECKSUMS, DATABASE, LEDGER, LEDGER_KEY, MANIFEST, REDIS, RESTORE_SCRIPT, RESTORE_TEXT, ROLES};

/// Files that every set has.
const ALWAYS_THERE: [&str; 5] = [MANIFEST, ROLES, DATABASE, RESTORE_SCRIPT, RESTORE_TEXT];

/// Files that some sets have.
const SOMETIMES_THERE: [&str; 3] = [REDIS, LEDGER, LEDGER_KEY];

/// The directory of the rows.
const DATA: &str = "data";

/// The result of checking a set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The name of the set.
    pub set: String,
    /// The number of whole files.
    pub files: usize,
    /// The bytes of the whole files.
    pub bytes: u64,
    /// The damaged files.
    pub damaged: Vec<Damage>,
    /// Files in the directory that do not belong to the set.
    pub foreign: Vec<String>,
}

/// A damaged file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The path in the set.
    pub file: String,
    /// The damage.
    pub what: String,
}

/// Checks every file of a set.
///
/// # Errors
/// Permission (77) when a file may not be read; TryLater (75) when stopped. Damage is not an error
/// here.
pub fn check(set: &SetEntry, progress: &Progress, stop: &Stop) -> Result<Checked> {
    let mut checked = Checked { set: set.name.to_string(), ..Checked::default() };
    progress.doing(format!("checking {}", set.name));
    let sums = match Checksums::read(&set.path) {
        Ok(sums) => sums,
        Err(failure) if failure.exit() == Exit::Permission => return Err(failure),
        Err(failure) => {
            let is_there = set.path.join(CHECKSUMS).exists();
            checked
                .damage(CHECKSUMS, &if is_there { failure.to_string() } else { "it is missing".to_owned() });
            return Ok(checked);
        }
    };
    for (name, expected) in &sums.0 {
        let path = set.path.join(name);
        match digest(&path, progress, stop) {
            Ok((digest, bytes)) if digest == *expected => {
                checked.files += 1;
                checked.bytes += bytes;
            }
            Ok(_) => checked.damage(name, "its content has changed"),
            Err(error) => {
                stop.check()?;
                match error.kind() {
                    io::ErrorKind::NotFound => checked.damage(name, "it is missing"),
                    io::ErrorKind::PermissionDenied => {
                        return Err(error).or_fail_io(|| format!("reading {}", path.display()));
                    }
                    _ => checked.damage(name, &format!("it cannot be read: {error}")),
                }
            }
        }
    }
    for name in ALWAYS_THERE.into_iter().filter(|name| !sums.0.contains_key(*name)) {
        checked.damage(name, "every set has this file, but SHA256SUMS does not list it");
    }
    for (name, kind) in names_in(&set.path).or_fail_io(|| format!("listing {}", set.path.display()))? {
        match kind {
            EntryKind::File if name == CHECKSUMS || sums.0.contains_key(&name) => {}
            // A reader would open this file.
            EntryKind::File if may_belong(&name) => {
                checked.damage(&name, "it does not belong to the set: SHA256SUMS does not list it");
            }
            EntryKind::File if name == DATA => checked.damage(&name, "not a directory"),
            EntryKind::File => checked.foreign.push(name),
            // A directory instead of a file is damage that the check has already found.
            EntryKind::Directory if sums.0.contains_key(&name) => {}
            EntryKind::Directory => checked.foreign.push(format!("{name}/")),
        }
    }
    Ok(checked)
}

/// Refuses a damaged set, or one whose manifest lists a file that SHA256SUMS lacks. Logs ignored
/// files.
///
/// # Errors
/// Data (65) with the name of the first damaged file; those of [`check`].
pub fn require_whole(set: &SetEntry, manifest: &Manifest, progress: &Progress, stop: &Stop) -> Result<()> {
    let mut checked = check(set, progress, stop)?;
    if checked.damaged.is_empty() {
        let sums = Checksums::read(&set.path)?;
        let files = manifest.tables.iter().map(|table| &table.file);
        for file in files.filter(|file| !sums.0.contains_key(*file)) {
            checked.damage(file, "the manifest names it, but SHA256SUMS does not");
        }
    }
    let Some(first) = checked.damaged.first() else {
        if !checked.foreign.is_empty() {
            log::info!(
                "{}: ignored files that do not belong to the set: {}",
                set.name,
                checked.foreign_names()
            );
        }
        return Ok(());
    };
    let others = match checked.damaged.len() {
        1 => String::new(),
        more => format!(" (and {})", counted(more as u64 - 1, "more file")),
    };
    Err(Failure::new(Exit::Data, format!("checking {}", set.path.display()))
        .because(format!("{}: {}{others}", first.file, first.what))
        .advise("The set is damaged: use another one (nexus-restore verify all finds which are whole)"))
}

impl Checked {
    fn damage(&mut self, file: &str, what: &str) {
        self.damaged.push(Damage { file: file.to_owned(), what: what.to_owned() });
    }

    fn foreign_names(&self) -> String {
        self.foreign.iter().map(|name| printable(name)).collect::<Vec<_>>().join(", ")
    }

    /// Formats the result for people.
    pub fn lines(&self) -> String {
        let Self { set, files, bytes, damaged, foreign } = self;
        let mut lines = match damaged.len() as u64 {
            0 => format!("{set}  whole: {}, {}\n", counted(*files as u64, "file"), human_bytes(*bytes)),
            count => format!("{set}  DAMAGED: {}\n", counted(count, "file")),
        };
        for Damage { file, what } in damaged {
            lines.push_str(&format!("  {}: {what}\n", printable(file)));
        }
        if !foreign.is_empty() {
            lines.push_str(&format!("  ignored, not part of the set: {}\n", self.foreign_names()));
        }
        lines
    }
}

/// Returns the digest and length of a regular file.
fn digest(path: &Path, progress: &Progress, stop: &Stop) -> io::Result<(Digest, u64)> {
    let (mut hasher, mut bytes) = (Hasher::default(), 0);
    pump(&mut files::open_plain(path)?, 256 << 10, |piece| {
        hasher.update(piece);
        bytes += piece.len() as u64;
        progress.advance(piece.len() as u64);
        Ok(stop.check()?)
    })?;
    Ok((hasher.finish(), bytes))
}

/// Returns whether a reader of sets might open a file with this name.
fn may_belong(name: &str) -> bool {
    let is_rows = |name: &str| {
        let number = name.strip_suffix(".copy.zst.age");
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    ALWAYS_THERE.contains(&name)
        || SOMETIMES_THERE.contains(&name)
        || name.strip_prefix("data/").is_some_and(is_rows)
}

/// The type of an entry in a set's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryKind {
    File,
    /// A directory. The check opens only `data`.
    Directory,
}

/// Returns the relative paths of all entries in the directory `set` and in its `data`.
fn names_in(set: &Path) -> io::Result<BTreeMap<String, EntryKind>> {
    let mut names = BTreeMap::new();
    let mut below = vec![(set.to_owned(), String::new())];
    while let Some((directory, prefix)) = below.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.file_type()?.is_dir() {
                true if name == DATA => below.push((entry.path(), format!("{DATA}/"))),
                true => drop(names.insert(name, EntryKind::Directory)),
                false => drop(names.insert(name, EntryKind::File)),
            }
        }
    }
    Ok(names)
}

/// Returns the bytes of a set's files. Unreadable files count as zero.
pub fn size_of(set: &Path) -> u64 {
    let names = names_in(set).unwrap_or_default().into_iter();
    let files = names.filter(|(_, kind)| *kind == EntryKind::File);
    let sizes = files.filter_map(|(name, _)| fs::symlink_metadata(set.join(name)).ok()).map(|m| m.len());
    sizes.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a set of regular files with correct checksums.
    fn set() -> (tempfile::TempDir, SetEntry) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("000001-20261122T030012Z");
        fs::create_dir_all(path.join(DATA)).unwrap();
        let mut sums = Checksums::default();
        for name in ALWAYS_THERE.into_iter().chain(["data/0001.copy.zst.age"]) {
            fs::write(path.join(name), name).unwrap();
            sums.0.insert(name.to_owned(), Digest::of(name.as_bytes()));
        }
        fs::write(path.join(CHECKSUMS), sums.to_text()).unwrap();
        let name = "000001-20261122T030012Z".parse().unwrap();
        (directory, SetEntry { name, path })
    }

    fn checked(set: &SetEntry) -> (Vec<String>, Vec<String>) {
        let checked = check(set, &Progress::new(false), &Stop::default()).unwrap();
        (checked.damaged.into_iter().map(|damage| damage.file).collect(), checked.foreign)
    }

    #[test]
    fn foreign_files_are_ignored_and_named() {
        let (_directory, set) = set();
        for name in [".DS_Store", "._manifest.json.age", "data/Thumbs.db", "data/._0001.copy.zst.age"] {
            fs::write(set.path.join(name), "x").unwrap();
        }
        for name in ["@eaDir", "lost+found", "data/@eaDir"] {
            fs::create_dir(set.path.join(name)).unwrap();
            fs::write(set.path.join(name).join("manifest.json.age"), "x").unwrap();
        }
        let (damaged, foreign) = checked(&set);
        assert!(damaged.is_empty(), "{damaged:?}");
        let named = [
            ".DS_Store",
            "._manifest.json.age",
            "@eaDir/",
            "data/._0001.copy.zst.age",
            "data/@eaDir/",
            "data/Thumbs.db",
            "lost+found/",
        ];
        assert_eq!(foreign, named);
    }

    #[test]
    fn a_readable_file_outside_of_sha256sums_is_damage() {
        let (_directory, set) = set();
        for name in [REDIS, LEDGER, LEDGER_KEY, "data/0002.copy.zst.age"] {
            fs::write(set.path.join(name), "x").unwrap();
        }
        let (damaged, foreign) = checked(&set);
        assert_eq!(damaged, ["data/0002.copy.zst.age", LEDGER, LEDGER_KEY, REDIS]);
        assert!(foreign.is_empty(), "{foreign:?}");
    }

    #[test]
    fn rows_outside_of_the_data_directory_are_damage() {
        let (_directory, set) = set();
        fs::rename(set.path.join(DATA), set.path.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", set.path.join(DATA)).unwrap();
        assert_eq!(checked(&set).0, [DATA]);
        fs::remove_file(set.path.join(DATA)).unwrap();
        assert_eq!(checked(&set).0, ["data/0001.copy.zst.age"]);
    }
}
