//! Remembers the backup directory outside of it. A disk that is not mounted leaves an empty
//! directory at the same path, which looks like a new one.
//!
//! The directory has an identity, a random number in a file. `/var/lib/nexus/state/backup` records
//! it and the highest number of a set. Each program that writes to the directory, or records
//! something about its sets, checks here first.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_cli::command_line;
use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_fs::files;
use nexus_fs::lock::Lock;
use nexus_fs::mounts::mounts;
use nexus_fs::new_file::{self, sync_directory};
use serde::{Deserialize, Serialize};

use crate::directory::{BackupDirectory, replace_json};
use crate::name::{self, SetName};

/// The directory of the state.
pub const STATE: &str = "/var/lib/nexus/state/backup";

/// The file of the identity, in the backup directory.
const IDENTITY: &str = ".directory-id";

/// How long to wait for another process that writes the state.
const PATIENCE: Duration = Duration::from_secs(5);

/// The state of all backup directories.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// The highest number of a set in any of them.
    #[serde(deserialize_with = "name::remembered")]
    highest: u64,
    /// The directories, by path.
    directories: BTreeMap<PathBuf, Home>,
}

/// A backup directory, as of the last write to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Home {
    /// The identity of the directory.
    id: String,
    /// The newest set in it.
    newest: Option<String>,
    /// The device that it was on, for example `/dev/sdb1`, for people.
    device: Option<String>,
}

/// Checks the backup directory of the settings or of the command line. It ignores a directory of
/// the command line that was never in the settings.
#[derive(Clone, Debug)]
pub struct Homes {
    state: PathBuf,
    is_typed: bool,
}

impl Homes {
    /// Creates it for the arguments of this process.
    pub fn of_this_machine() -> Self {
        Self { state: STATE.into(), is_typed: command_line::was_typed("--backup-dir") }
    }

    /// Refuses a directory if sets at this path were written to another one.
    ///
    /// # Errors
    /// Settings (78) with the name of the disk; Data (65) when the state is damaged; I/O.
    pub fn require(&self, directory: &BackupDirectory) -> Result<()> {
        let path = resolved(directory)?;
        match self.memory()?.directories.get(&path) {
            Some(home) if !home.is(directory)? => Err(home.refuse(&path)),
            _ => Ok(()),
        }
    }

    /// Like [`Self::require`], then remembers the directory. `is_meant` accepts any directory.
    /// Returns the highest known number of a set. The caller must hold the directory's lock.
    ///
    /// # Errors
    /// Those of [`Self::require`].
    pub fn enter(&self, directory: &BackupDirectory, is_meant: bool) -> Result<u64> {
        let path = resolved(directory)?;
        let memory = self.memory()?;
        match memory.directories.get(&path) {
            None if self.is_typed => return Ok(0),
            Some(home) if !is_meant && !home.is(directory)? => return Err(home.refuse(&path)),
            _ => {}
        }
        let newest = directory.sets()?.last().map(|set| set.name);
        let id = match read_identity(directory.path())? {
            Some(id) => id,
            None if self.state.is_dir() => make_identity(directory.path())?,
            None => return Ok(0),
        };
        self.note(path, &id, newest)
    }

    /// Remembers that `set` is now in the directory.
    ///
    /// # Errors
    /// Those of [`Self::require`].
    pub fn published(&self, directory: &BackupDirectory, set: SetName) -> Result<()> {
        let path = resolved(directory)?;
        let Some(id) = self.memory()?.directories.get(&path).map(|home| home.id.clone()) else {
            return Ok(());
        };
        self.note(path, &id, Some(set)).map(drop)
    }

    /// Remembers the state of a directory; returns the highest number of a set. Writes nothing if
    /// it is already known, so that a backup needs no space on the disk of the state.
    fn note(&self, path: PathBuf, id: &str, newest: Option<SetName>) -> Result<u64> {
        let home =
            Home { id: id.to_owned(), newest: newest.map(|name| name.to_string()), device: device_of(&path) };
        let newest = newest.map_or(0, |set| name::to_remember(set.sequence));
        let highest = |memory: &Memory| memory.highest.max(newest);
        let known = self.memory()?;
        if known.directories.get(&path) == Some(&home) && known.highest == highest(&known) {
            return Ok(known.highest);
        }
        let _lock = Lock::take_within(&self.state, "a backup", PATIENCE)?;
        let mut memory = self.memory()?;
        memory.highest = highest(&memory);
        memory.directories.insert(path, home);
        replace_json(&self.file(), &memory)?;
        sync_directory(&self.state)?;
        Ok(memory.highest)
    }

    fn file(&self) -> PathBuf {
        self.state.join("directories.json")
    }

    /// Reads the state, which is empty without an installed NEXUS or before the first backup.
    fn memory(&self) -> Result<Memory> {
        let file = self.file();
        let doing = || format!("reading {}", file.display());
        match files::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).or_fail(Exit::Data, doing).map_err(|failure| {
                failure.advise(
                    "Make sure that the disk of the backups is mounted, then remove that file: the next backup creates it again",
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Memory::default()),
            // A person runs it on another directory.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && self.is_typed => {
                Ok(Memory::default())
            }
            Err(error) => Err(error).or_fail_io(doing),
        }
    }
}

impl Home {
    /// Returns whether `directory` is this one: it has the identity or the newest set, or no set
    /// existed yet.
    fn is(&self, directory: &BackupDirectory) -> Result<bool> {
        let Some(newest) = &self.newest else { return Ok(true) };
        if read_identity(directory.path())?.as_ref() == Some(&self.id) {
            return Ok(true);
        }
        Ok(directory.sets()?.iter().any(|set| set.name.to_string() == *newest))
    }

    fn refuse(&self, path: &Path) -> Failure {
        let newest = self.newest.as_deref().unwrap_or_default();
        let on = match (&self.device, device_of(path)) {
            (Some(then), Some(now)) if *then != now => format!(", which was on {then}; this one is on {now}"),
            _ => String::new(),
        };
        Failure::new(Exit::Settings, format!("opening the backup directory {}", path.display()))
            .because(format!("it is not the directory that set {newest} was written to{on}"))
            .advise("Is its disk mounted? To accept this directory as a new one, run nexus-backup --new-directory once")
    }
}

/// Resolves symbolic links, so that a directory has only one path.
fn resolved(directory: &BackupDirectory) -> Result<PathBuf> {
    let path = directory.path();
    fs::canonicalize(path).or_fail_io(|| format!("opening the backup directory {}", path.display()))
}

fn read_identity(directory: &Path) -> Result<Option<String>> {
    let path = directory.join(IDENTITY);
    let text = files::read_to_string(&path).if_there(|| format!("reading {}", path.display()))?;
    Ok(text.and_then(|text| text.lines().next().map(str::to_owned)).filter(|id| !id.is_empty()))
}

fn make_identity(directory: &Path) -> Result<String> {
    let path = directory.join(IDENTITY);
    let doing = || format!("writing {}", path.display());
    let mut random = [0_u8; 16];
    fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random)).or_fail_io(doing)?;
    let id = format!("{:032x}", u128::from_be_bytes(random));
    // A killed run may have left an empty file.
    new_file::write(&path, format!("{id}\n").as_bytes())?;
    sync_directory(directory)?;
    Ok(id)
}

/// Returns the source of the mount that contains `path`. Of several mounts at one point, the last is
/// visible.
fn device_of(path: &Path) -> Option<String> {
    let on = mounts().ok()?.filter(|mount| path.starts_with(&mount.point));
    on.max_by_key(|mount| mount.point.components().count()).map(|mount| mount.source)
}

#[cfg(test)]
mod tests;
