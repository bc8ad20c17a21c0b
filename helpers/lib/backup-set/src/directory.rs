//! The backup directory: its sets, its leftovers, and the next number.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_fs::files;
use nexus_fs::new_file::{self, sync_directory};
use serde::{Deserialize, Serialize};

use crate::name::{self, HIGHEST, SetName};
use crate::size::Size;

nexus_cli::path_setting! {
    /// Directory that holds the backup sets
    BackupDir: "backup_dir", --"backup-dir", "NEXUS_BACKUP_DIR", "DIRECTORY", "/var/lib/nexus/backups"
}

/// A complete set. Its name has no leading dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetEntry {
    /// The name of the set.
    pub name: SetName,
    /// The directory of the set.
    pub path: PathBuf,
}

/// Facts about the last published set, for the number and estimated size of the next one. Losing
/// them loses only the estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// The number of the last set.
    #[serde(deserialize_with = "name::remembered")]
    pub sequence: u64,
    /// The size of its tables in the database, in bytes.
    pub database_bytes: u64,
    /// The size of the set in bytes.
    pub set_bytes: u64,
}

/// What nexus-backup remembers in `.last.json` of the directory. Without it, the estimate of
/// [`Last`] and the comparison of sizes are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The last published set.
    #[serde(flatten)]
    pub last: Last,
    /// The size of each set, by name.
    #[serde(default)]
    sizes: BTreeMap<String, Size>,
    /// The owner has accepted that sets after this number have fewer rows than those before.
    #[serde(default, deserialize_with = "name::remembered")]
    pub accepted: u64,
    /// The name of the set whose rows the newest set lacks.
    #[serde(default, rename = "measure")]
    reference: Option<String>,
}

impl Remembered {
    /// Returns the size of each set.
    pub fn sizes(&self) -> BTreeMap<SetName, Size> {
        self.sizes.iter().filter_map(|(name, size)| Some((name.parse().ok()?, *size))).collect()
    }

    /// Replaces the known sizes of the sets.
    pub fn set_sizes(&mut self, sizes: &BTreeMap<SetName, Size>) {
        self.sizes = sizes.iter().map(|(name, size)| (name.to_string(), *size)).collect();
    }

    /// Returns the set whose rows the newest set lacks.
    pub fn reference(&self) -> Option<SetName> {
        self.reference.as_ref()?.parse().ok()
    }

    /// Replaces the set whose rows the newest set lacks.
    pub fn set_reference(&mut self, reference: Option<SetName>) {
        self.reference = reference.map(|name| name.to_string());
    }
}

/// Writes `value` as JSON to `path` atomically: the old file stays until the new one is on disk.
///
/// # Errors
/// I/O.
pub(super) fn replace_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let new = path.with_extension("new");
    let doing = || format!("writing {}", path.display());
    new_file::write(&new, &serde_json::to_vec(value).or_fail(Exit::Software, doing)?)?;
    files::rename(&new, path).or_fail_io(doing)
}

/// A backup directory.
#[derive(Clone, Debug)]
pub struct BackupDirectory {
    path: PathBuf,
}

impl BackupDirectory {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// Settings (78) when it is not a directory; I/O.
    pub fn at(path: &Path) -> Result<Self> {
        let doing = || format!("opening the backup directory {}", path.display());
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Failure::new(Exit::Settings, doing())
                    .because(error)
                    .advise("Create it, mount its disk, or set NEXUS_BACKUP_DIR"));
            }
            other => other.or_fail_io(doing)?,
        };
        if !metadata.is_dir() {
            return Err(Failure::new(Exit::Settings, doing())
                .because("not a directory")
                .advise("Set NEXUS_BACKUP_DIR to a directory"));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the complete sets in the order of their numbers.
    ///
    /// # Errors
    /// I/O.
    pub fn sets(&self) -> Result<Vec<SetEntry>> {
        let mut sets = Vec::new();
        for (name, path) in self.entries()? {
            let Ok(name) = name.parse() else { continue };
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => sets.push(SetEntry { name, path }),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                // An unreadable set must not count as missing.
                Err(error) => return Err(error).or_fail_io(|| format!("inspecting {}", path.display())),
            }
        }
        sets.sort_by_key(|set| set.name);
        Ok(sets)
    }

    /// Returns the leftovers of killed runs: directories whose names begin with a dot and end in
    /// `.partial` or `.removing`.
    ///
    /// # Errors
    /// I/O.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let left =
            |name: &str| name.starts_with('.') && (name.ends_with(".partial") || name.ends_with(".removing"));
        Ok(self.entries()?.into_iter().filter(|(name, _)| left(name)).map(|(_, path)| path).collect())
    }

    /// Returns the set with this `id`: `latest`, a number, or a whole name.
    ///
    /// # Errors
    /// Usage (64) when it does not exist; I/O.
    pub fn find(&self, id: &str) -> Result<SetEntry> {
        let sets = self.sets()?;
        let found = match (id, id.parse::<u64>()) {
            ("latest", _) => sets.last(),
            (_, Ok(sequence)) => sets.iter().find(|set| set.name.sequence == sequence),
            _ => sets.iter().find(|set| set.name.to_string() == id),
        };
        found.cloned().ok_or_else(|| {
            Failure::new(Exit::Usage, format!("looking for set {id} in {}", self.path.display()))
                .because(if sets.is_empty() { "there is no set" } else { "there is no such set" })
                .advise("See: nexus-restore list")
        })
    }

    /// Removes a complete set. The caller must hold the lock. Renames it first, so that no
    /// half-removed set looks complete.
    ///
    /// # Errors
    /// I/O; a leftover then remains.
    pub fn remove(&self, set: &SetEntry) -> Result<()> {
        let hidden = self.path.join(format!(".{}.removing", set.name));
        let doing = || format!("removing the set {}", set.path.display());
        files::rename(&set.path, &hidden).or_fail_io(doing)?;
        sync_directory(&self.path)?;
        files::remove_directory(&hidden).or_fail_io(doing)
    }

    /// Records that a backup has begun. Until [`Self::finished`], the newest backup counts as
    /// failed.
    ///
    /// # Errors
    /// I/O.
    pub fn began(&self) -> Result<()> {
        let path = self.unfinished();
        files::open_or_create(&path, 0o600).map(drop).or_fail_io(|| format!("creating {}", path.display()))
    }

    /// Records that the backup is complete.
    ///
    /// # Errors
    /// I/O.
    pub fn finished(&self) -> Result<()> {
        let path = self.unfinished();
        files::remove_if_there(&path).or_fail_io(|| format!("removing {}", path.display()))
    }

    /// Returns whether the newest backup is incomplete. This is also true while a backup runs.
    pub fn newest_failed(&self) -> bool {
        self.unfinished().exists()
    }

    fn unfinished(&self) -> PathBuf {
        self.path.join(".unfinished")
    }

    /// Returns the number of the next set: one above the largest number of the sets here, of the
    /// last recorded set, and of `highest`, which another file records.
    ///
    /// # Errors
    /// Data (65) when the newest set has the highest possible number; I/O.
    pub fn next_sequence(&self, highest: u64) -> Result<u64> {
        let newest = self.sets()?.last().map_or(0, |set| set.name.sequence);
        let known = newest.max(self.remembered()?.last.sequence).max(highest);
        known.checked_add(1).filter(|next| *next <= HIGHEST).ok_or_else(|| {
            Failure::new(Exit::Data, format!("numbering the next set in {}", self.path.display()))
                .because(format!(
                    "a set there has the number {newest}, but the highest possible is {HIGHEST}"
                ))
                .advise("No backup has created a set with that number: move its directory elsewhere")
        })
    }

    /// Returns the facts about the last set; the default if the file is missing or damaged.
    ///
    /// # Errors
    /// I/O other than "not found".
    pub fn last(&self) -> Result<Last> {
        Ok(self.remembered()?.last)
    }

    /// Returns what is remembered of the sets; the default if the file is missing or damaged.
    ///
    /// # Errors
    /// I/O other than "not found".
    pub fn remembered(&self) -> Result<Remembered> {
        let path = self.last_path();
        let bytes = files::read(&path).if_there(|| format!("reading {}", path.display()))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    /// Replaces what is remembered, atomically.
    ///
    /// # Errors
    /// I/O.
    pub fn remember(&self, remembered: &Remembered) -> Result<()> {
        replace_json(&self.last_path(), remembered)
    }

    fn last_path(&self) -> PathBuf {
        self.path.join(".last.json")
    }

    fn entries(&self) -> Result<Vec<(String, PathBuf)>> {
        let doing = || format!("listing {}", self.path.display());
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.path).or_fail_io(doing)? {
            let entry = entry.or_fail_io(doing)?;
            // Names of sets are UTF-8.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push((name, entry.path()));
            }
        }
        Ok(entries)
    }
}
