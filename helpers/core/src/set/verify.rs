//! Whether a set's files are what they were when it was written: by SHA256SUMS, without a key.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;

use crate::failure::{Exit, Failure, OrFailIo, Result};
use crate::progress::{Progress, human_bytes};
use crate::set::checksums::Checksums;
use crate::set::directory::SetEntry;
use crate::set::hashing::{Digest, Hasher};
use crate::set::{CHECKSUMS, DATABASE, MANIFEST, RESTORE_SCRIPT, RESTORE_TEXT, ROLES};
use crate::stop::Stop;
use crate::text::counted;

/// Files that every set has.
const ALWAYS_THERE: [&str; 5] = [MANIFEST, ROLES, DATABASE, RESTORE_SCRIPT, RESTORE_TEXT];

/// What a check of one set found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Name of the set.
    pub set: String,
    /// Files that are whole.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are not.
    pub damaged: Vec<Damage>,
}

/// A file that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Path in the set.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

/// Checks every file of a set.
///
/// # Errors
/// Permission (77) when a file may not be read; TryLater (75) when stopped. Damage is no error here.
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
        checked.damage(name, "SHA256SUMS does not have it");
    }
    for name in names_in(&set.path).or_fail_io(|| format!("listing {}", set.path.display()))? {
        if name != CHECKSUMS && !sums.0.contains_key(&name) {
            checked.damage(&name, "it is not in SHA256SUMS");
        }
    }
    Ok(checked)
}

/// Refuses a damaged set.
///
/// # Errors
/// Data (65) naming the first file that is damaged; else as [`check`].
pub fn require_whole(set: &SetEntry, progress: &Progress, stop: &Stop) -> Result<()> {
    let checked = check(set, progress, stop)?;
    let Some(first) = checked.damaged.first() else { return Ok(()) };
    let others = match checked.damaged.len() {
        1 => String::new(),
        more => format!(" (and {} more files)", more - 1),
    };
    Err(Failure::new(Exit::Data, format!("checking {}", set.path.display()))
        .because(format!("{}: {}{others}", first.file, first.what))
        .advise("The set is damaged: use another one (nexus-restore verify all finds which are whole)"))
}

impl Checked {
    fn damage(&mut self, file: &str, what: &str) {
        self.damaged.push(Damage { file: file.to_owned(), what: what.to_owned() });
    }

    /// As people read it.
    pub fn lines(&self) -> String {
        let Self { set, files, bytes, damaged } = self;
        if damaged.is_empty() {
            return format!("{set}  whole: {}, {}\n", counted(*files as u64, "file"), human_bytes(*bytes));
        }
        let mut lines = format!("{set}  DAMAGED: {}\n", counted(damaged.len() as u64, "file"));
        for Damage { file, what } in damaged {
            lines.push_str(&format!("  {file}: {what}\n"));
        }
        lines
    }
}

/// Digest and length of a plain file, read in pieces.
fn digest(path: &Path, progress: &Progress, stop: &Stop) -> io::Result<(Digest, u64)> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut file = File::open(path)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    loop {
        if stop.is_set() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((hasher.finish(), bytes));
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
        progress.advance(read as u64);
    }
}

/// Paths of all files below `set`, relative to it.
fn names_in(set: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut below = vec![(set.to_owned(), String::new())];
    while let Some((directory, prefix)) = below.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                below.push((entry.path(), format!("{name}/")));
            } else {
                names.insert(name);
            }
        }
    }
    Ok(names)
}

/// Bytes of a set's files; what cannot be read counts nothing.
pub fn size_of(set: &Path) -> u64 {
    let sizes = names_in(set).unwrap_or_default();
    sizes.iter().filter_map(|name| fs::symlink_metadata(set.join(name)).ok()).map(|m| m.len()).sum()
}
