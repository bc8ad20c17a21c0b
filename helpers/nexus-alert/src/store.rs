//! The incidents on disk: one file each, replaced atomically, changed by one process at a time.

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_fs::files;
use nix::fcntl::FlockArg;
#[expect(deprecated, reason = "see its use")]
use nix::fcntl::flock;

use crate::channel::Channel;
use crate::incident::Incident;
use crate::subject::Subject;

/// The most bytes to read of a file.
const LARGEST: u64 = 1 << 20;

/// The most incidents at once: more than there are units and checks of NEXUS.
const MOST: usize = 256;

/// The suffix of a file that is being written.
const PARTIAL: &str = ".partial";

/// The directory of the incidents.
pub(crate) struct Store {
    directory: PathBuf,
}

/// The store under its lock, which is held for a moment only, never while a message is sent.
pub(crate) struct LockedStore<'a> {
    store: &'a Store,
    _lock: File,
}

/// The lock of a channel, so that no two runs send the same message.
pub(crate) struct ChannelLock {
    _lock: File,
}

impl Store {
    /// Opens the store.
    ///
    /// # Errors
    /// I/O, also when the directory does not exist.
    pub(crate) fn at(directory: &Path) -> Result<Self> {
        fs::read_dir(directory)
            .or_fail_io(|| format!("reading directory {}", directory.display()))
            .map_err(|failure| failure.advise("Run nexus-setup again; it makes the directory"))?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// Returns the path of the store.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Waits for the lock of the store.
    pub(crate) fn lock(&self) -> Result<LockedStore<'_>> {
        Ok(LockedStore { store: self, _lock: self.lock_file(".lock")? })
    }

    /// Waits until no other run sends through `channel`.
    pub(crate) fn lock_channel(&self, channel: Channel) -> Result<ChannelLock> {
        Ok(ChannelLock { _lock: self.lock_file(&format!(".{channel}.lock"))? })
    }

    /// Waits for a lock, which ends when the file is closed.
    fn lock_file(&self, name: &str) -> Result<File> {
        let path = self.directory.join(name);
        let doing = || format!("locking {}", path.display());
        let file = files::open_or_create(&path, 0o600).or_fail_io(doing)?;
        #[expect(
            deprecated,
            reason = "nix::fcntl::Flock panics when unlocking fails; closing the file unlocks it anyway"
        )]
        flock(file.as_raw_fd(), FlockArg::LockExclusive).map_err(io::Error::from).or_fail_io(doing)?;
        Ok(file)
    }

    fn path_of(&self, subject: &Subject) -> PathBuf {
        self.directory.join(format!("{subject}.json"))
    }
}

impl LockedStore<'_> {
    /// Returns the subjects of all incidents that last or have a pending message. Removes the partial files of killed runs.
    pub(crate) fn all(&self) -> Result<Vec<Subject>> {
        let doing = || format!("reading directory {}", self.store.directory.display());
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.store.directory).or_fail_io(doing)? {
            let entry = entry.or_fail_io(doing)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.ends_with(PARTIAL) {
                // Nothing reads a partial file, and the next write replaces one that cannot be removed.
                let _left = files::remove_if_there(&entry.path());
            }
            let subject = name.strip_suffix(".json").map(str::parse);
            all.extend(subject.and_then(std::result::Result::ok));
        }
        all.sort();
        Ok(all)
    }

    /// Returns the incident, if there is one. A damaged file is logged and becomes an incident without history, whose
    /// message is sent again: one alert too many is better than one too few.
    pub(crate) fn incident(&self, subject: &Subject) -> Result<Option<Incident>> {
        let path = self.store.path_of(subject);
        let doing = || format!("reading {}", path.display());
        let Some(file) = files::open(&path).if_there(doing)? else { return Ok(None) };
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text).or_fail_io(doing)?;
        let why = match serde_json::from_slice::<Incident>(&text) {
            Ok(incident) if incident.subject == *subject => return Ok(Some(incident)),
            Ok(incident) => format!("it is about {}", incident.subject),
            Err(error) => error.to_string(),
        };
        log::warn!("{}: {why}; the alert may be sent again", doing());
        if *subject == Subject::Test {
            return self.remove(subject).map(|()| None);
        }
        Ok(Some(Incident::recovered(subject.clone(), &why, Timestamp::now())))
    }

    /// Returns how many incidents other than `subject` last. An unreadable one counts.
    pub(crate) fn others(&self, subject: &Subject) -> Result<u64> {
        let lasts = |other: &Subject| {
            other != subject
                && !matches!(self.incident(other), Ok(None | Some(Incident { resolved: Some(_), .. })))
        };
        Ok(self.all()?.iter().filter(|other| lasts(other)).count() as u64)
    }

    /// Writes the incident to disk, or removes its file when it is done.
    ///
    /// # Errors
    /// I/O (74), CannotCreate (73) on a full disk or when there are too many incidents.
    pub(crate) fn save(&self, incident: &Incident) -> Result<()> {
        let path = self.store.path_of(&incident.subject);
        if incident.is_done() {
            return self.remove(&incident.subject);
        }
        let doing = || format!("writing {}", path.display());
        if !path.exists() && self.all()?.len() >= MOST {
            return Err(Failure::new(Exit::CannotCreate, doing())
                .because(format!("there are {MOST} incidents already"))
                .advise("Resolve them, and remove the files of those that are over"));
        }
        let json = serde_json::to_vec_pretty(incident).or_fail(Exit::Software, doing)?;
        files::replace_on_disk(&path, &json, 0o600).or_fail_io(doing)
    }

    /// Removes the file, and syncs the directory: after a power failure the alert must not be sent again.
    fn remove(&self, subject: &Subject) -> Result<()> {
        let path = self.store.path_of(subject);
        files::remove_if_there(&path)
            .and_then(|()| files::sync_directory(&self.store.directory))
            .or_fail_io(|| format!("removing {}", path.display()))
    }
}
