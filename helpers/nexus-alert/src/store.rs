//! The incidents on disk: one file each, replaced atomically, changed by one process at a time.
//!
//! While the disk cannot be written, for instance because another user has filled it, incidents are in a spare directory in memory.
//! An incident that has a file there is read from there, and moves back when it is saved and there is room. A reboot empties the
//! spare directory: what the disk has then is older, and a message may be sent again.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_fs::files;
use nexus_fs::lock::flock;
use nix::fcntl::FlockArg;

use crate::channel::Channel;
use crate::incident::Incident;
use crate::subject::Subject;

/// The most bytes to read of a file.
const LARGEST: u64 = 1 << 20;

/// The most incidents at once: more than there are units and checks of NEXUS.
const MOST: usize = 256;

/// The suffix of a file that is being written.
const PARTIAL: &str = ".partial";

/// The directories of the incidents.
pub(crate) struct Store {
    directory: PathBuf,
    /// The directory for incidents that cannot be written to the other.
    spare: Option<PathBuf>,
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
    /// Opens the store in `directory`, and in `spare` if that exists.
    ///
    /// # Errors
    /// I/O, also when the directory does not exist.
    pub(crate) fn at(directory: &Path, spare: &Path) -> Result<Self> {
        fs::read_dir(directory)
            .or_fail_io(|| format!("reading directory {}", directory.display()))
            .map_err(|failure| failure.advise("Run nexus-setup again; it makes the directory"))?;
        let spare = spare.is_dir().then(|| spare.to_owned());
        Ok(Self { directory: directory.to_owned(), spare })
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
        let spare = || files::open_or_create(&self.spare.as_ref()?.join(name), 0o600).ok();
        let file = files::open_or_create(&path, 0o600)
            // A read-only disk.
            .or_else(|error| files::open(&path).map_err(|_| error))
            // A disk that was full before the first run.
            .or_else(|error| spare().ok_or(error))
            .or_fail_io(doing)?;
        flock(&file, FlockArg::LockExclusive).map_err(io::Error::from).or_fail_io(doing)?;
        Ok(file)
    }

    fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.directory).chain(&self.spare)
    }

    fn path_of(&self, subject: &Subject) -> PathBuf {
        file_of(&self.directory, subject)
    }

    /// Removes a file, and syncs its directory: after a power failure the alert must not be sent again.
    fn remove(&self, path: &Path) -> Result<()> {
        files::remove_if_there(path)
            .and_then(|()| files::sync_directory(path.parent().unwrap_or(&self.directory)))
            .or_fail_io(|| format!("removing {}", path.display()))
    }

    /// Returns the incident's file in the spare directory, if it is there.
    fn spared(&self, subject: &Subject) -> Option<PathBuf> {
        self.spare.as_ref().map(|spare| file_of(spare, subject)).filter(|path| path.exists())
    }
}

fn file_of(directory: &Path, subject: &Subject) -> PathBuf {
    directory.join(format!("{subject}.json"))
}

impl LockedStore<'_> {
    /// Returns the subjects of all incidents that last or have a pending message. Removes the partial files of killed runs.
    pub(crate) fn all(&self) -> Result<Vec<Subject>> {
        let mut all = BTreeSet::new();
        for directory in self.store.directories() {
            let doing = || format!("reading directory {}", directory.display());
            for entry in fs::read_dir(directory).or_fail_io(doing)? {
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
        }
        Ok(all.into_iter().collect())
    }

    /// Returns the incident, if there is one. A damaged file is logged and becomes an incident without history, whose
    /// message is sent again: one alert too many is better than one too few.
    pub(crate) fn incident(&self, subject: &Subject) -> Result<Option<Incident>> {
        let path = self.store.spared(subject).unwrap_or_else(|| self.store.path_of(subject));
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
            return self.store.remove(&path).map(|()| None);
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

    /// Returns whether the incident could not be written to disk, and waits in the spare directory.
    pub(crate) fn is_spared(&self, subject: &Subject) -> bool {
        self.store.spared(subject).is_some()
    }

    /// Writes the incident to disk, or removes its file when it is done. If the disk cannot be written, writes it to the spare
    /// directory.
    ///
    /// # Errors
    /// I/O (74), CannotCreate (73) on a full disk or when there are too many incidents.
    pub(crate) fn save(&self, incident: &Incident) -> Result<()> {
        let subject = &incident.subject;
        let (path, spared) = (self.store.path_of(subject), self.store.spared(subject));
        let is_new = !incident.is_done() && spared.is_none() && !path.exists();
        if is_new && self.all()?.len() >= MOST {
            return Err(Failure::new(Exit::CannotCreate, format!("writing {}", path.display()))
                .because(format!("there are {MOST} incidents already"))
                .advise("Resolve them, and remove the files of those that are over"));
        }
        let Some(spared) = spared else {
            return self.put(&path, incident).or_else(|failure| self.spare(incident, failure));
        };
        // What is there counts. So it is written first, and is never older than the file on disk, even if this run is killed.
        let kept = write(&spared, incident, files::replace);
        match self.put(&path, incident) {
            Ok(()) => self.store.remove(&spared),
            Err(_) => kept,
        }
    }

    /// Writes the incident to the spare directory, because of `failure`.
    fn spare(&self, incident: &Incident, failure: Failure) -> Result<()> {
        let Some(spare) = &self.store.spare else { return Err(failure) };
        let path = file_of(spare, &incident.subject);
        if write(&path, incident, files::replace).is_err() {
            return Err(failure);
        }
        log::warn!(
            "{} is in memory until there is room on disk, as {}: {failure}",
            incident.subject,
            path.display()
        );
        Ok(())
    }

    /// Writes the file on disk, or removes it.
    fn put(&self, path: &Path, incident: &Incident) -> Result<()> {
        if incident.is_done() {
            self.store.remove(path)
        } else {
            write(path, incident, files::replace_on_disk)
        }
    }
}

fn write(path: &Path, incident: &Incident, replace: fn(&Path, &[u8], u32) -> io::Result<()>) -> Result<()> {
    let doing = || format!("writing {}", path.display());
    let json = serde_json::to_vec_pretty(incident).or_fail(Exit::Software, doing)?;
    replace(path, &json, 0o600).or_fail_io(doing)
}
