//! The problems on the disk: one file each, replaced by one rename, changed by one process at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nexus_core::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_core::set::seal::give_to_owner_of;
use nix::fcntl::{Flock, FlockArg};

use crate::problem::Problem;
use crate::unit::UnitName;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The most problems at once: more units than NEXUS has are no units of NEXUS.
const MOST: usize = 256;

/// The directory of the problems.
pub(crate) struct Store {
    directory: PathBuf,
}

/// The right to change what is in the store; it lasts for a moment only, never while something is sent.
pub(crate) struct Held<'a> {
    store: &'a Store,
    _lock: Flock<File>,
}

impl Store {
    /// # Errors
    /// I/O, when the directory is not there.
    pub(crate) fn at(directory: &Path) -> Result<Self> {
        fs::read_dir(directory)
            .or_fail_io(|| format!("looking into {}", directory.display()))
            .map_err(|failure| failure.advise("Run install.sh again, it makes the directory"))?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// Waits for its turn.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn hold(&self) -> Result<Held<'_>> {
        let path = self.directory.join(".lock");
        let doing = || format!("locking {}", path.display());
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.or_fail_io(doing)?;
        give_to_owner_of(&self.directory, &file).or_fail_io(doing)?;
        let lock = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| std::io::Error::from(errno))
            .or_fail_io(doing)?;
        Ok(Held { store: self, _lock: lock })
    }

    fn path_of(&self, unit: &UnitName) -> PathBuf {
        self.directory.join(format!("{unit}.json"))
    }
}

impl Held<'_> {
    /// Units that have a problem, or are owed the news of its end.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn units(&self) -> Result<Vec<UnitName>> {
        let doing = || format!("looking into {}", self.store.directory.display());
        let mut units = Vec::new();
        for entry in fs::read_dir(&self.store.directory).or_fail_io(doing)? {
            let name = entry.or_fail_io(doing)?.file_name();
            let unit = name.to_str().and_then(|name| name.strip_suffix(".json")).map(str::parse);
            units.extend(unit.and_then(std::result::Result::ok));
        }
        units.sort();
        Ok(units)
    }

    /// The problem of a unit. One that cannot be understood is said, taken away and counts as none: an alert too many is
    /// better than none for ever.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn problem(&self, unit: &UnitName) -> Result<Option<Problem>> {
        let path = self.store.path_of(unit);
        let doing = || format!("reading {}", path.display());
        let mut text = Vec::new();
        match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.and_then(|file| file.take(LARGEST).read_to_end(&mut text)).or_fail_io(doing)?,
        };
        let why = match serde_json::from_slice::<Problem>(&text) {
            Ok(problem) if problem.unit == *unit => return Ok(Some(problem)),
            Ok(problem) => format!("it is about {}", problem.unit),
            Err(error) => error.to_string(),
        };
        log::warn!("{}: {why}: removed, and the next failure is told as a new one", doing());
        self.remove(unit).map(|()| None)
    }

    /// Puts it on the disk, or takes it away when it is done.
    ///
    /// # Errors
    /// I/O (74), CannotCreate (73) on a full disk or when there are too many.
    pub(crate) fn keep(&self, problem: &Problem) -> Result<()> {
        let path = self.store.path_of(&problem.unit);
        if problem.is_done() {
            return self.remove(&problem.unit);
        }
        let doing = || format!("writing {}", path.display());
        if !path.exists() && self.units()?.len() >= MOST {
            return Err(Failure::new(Exit::CannotCreate, doing())
                .because(format!("there are {MOST} problems already"))
                .advise("Mend them, and remove the files of those that are over"));
        }
        let json = serde_json::to_vec_pretty(problem).or_fail(Exit::Software, doing)?;
        let partial = path.with_extension("json.partial");
        let written = (|| {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
            give_to_owner_of(&self.store.directory, &file)?;
            file.write_all(&json)?;
            file.sync_all()?;
            fs::rename(&partial, &path)?;
            File::open(&self.store.directory)?.sync_all()
        })();
        written.or_fail_io(doing)
    }

    /// Takes the file of a unit away.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn remove(&self, unit: &UnitName) -> Result<()> {
        let path = self.store.path_of(unit);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.or_fail_io(|| format!("removing {}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Facts;
    use crate::ways::Way;
    use jiff::Timestamp;

    #[test]
    fn what_is_kept_is_read_back_and_what_is_done_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path()).unwrap();
        let held = store.hold().unwrap();
        let unit: UnitName = "nexus-backup".parse().unwrap();
        let mut problem =
            Problem::begins(unit.clone(), Facts::default(), &[Way::Webhook], Timestamp::UNIX_EPOCH);
        held.keep(&problem).unwrap();
        assert_eq!(held.problem(&unit).unwrap().as_ref(), Some(&problem));
        assert_eq!(held.units().unwrap(), std::slice::from_ref(&unit));
        problem.ends(&[], Timestamp::UNIX_EPOCH);
        problem.owed.clear();
        held.keep(&problem).unwrap();
        assert_eq!(held.units().unwrap(), []);
    }

    #[test]
    fn a_damaged_file_silences_nobody() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("nexus-backup.service.json"), "{\"unit\":").unwrap();
        let store = Store::at(directory.path()).unwrap();
        let unit = "nexus-backup".parse().unwrap();
        assert_eq!(store.hold().unwrap().problem(&unit).unwrap(), None);
    }
}
