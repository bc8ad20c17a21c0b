//! The problems on the disk: one file each, replaced by one rename, changed by one process at a time.

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

use crate::about::About;
use crate::problem::Problem;
use crate::ways::Way;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The most problems at once: more than there are units and checks of NEXUS.
const MOST: usize = 256;

/// The directory of the problems.
pub(crate) struct Store {
    directory: PathBuf,
}

/// The right to change what is in the store; it lasts for a moment only, never while something is sent.
pub(crate) struct Held<'a> {
    store: &'a Store,
    _lock: File,
}

/// The right to send by one way, so that two runs do not send the same.
pub(crate) struct Turn {
    _lock: File,
}

impl Store {
    /// # Errors
    /// I/O, when the directory is not there.
    pub(crate) fn at(directory: &Path) -> Result<Self> {
        fs::read_dir(directory)
            .or_fail_io(|| format!("looking into {}", directory.display()))
            .map_err(|failure| failure.advise("Run nexus-setup again, it makes the directory"))?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Waits for its turn.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn hold(&self) -> Result<Held<'_>> {
        Ok(Held { store: self, _lock: self.lock(".lock")? })
    }

    /// Waits until no other run sends by `way`.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn turn(&self, way: Way) -> Result<Turn> {
        Ok(Turn { _lock: self.lock(&format!(".{way}.lock"))? })
    }

    /// Waits for a lock; it ends with the file.
    fn lock(&self, name: &str) -> Result<File> {
        let path = self.directory.join(name);
        let doing = || format!("locking {}", path.display());
        let file = files::open_or_create(&path, 0o600).or_fail_io(doing)?;
        #[expect(
            deprecated,
            reason = "the other one panics where a lock cannot be given back, which closing does anyway"
        )]
        flock(file.as_raw_fd(), FlockArg::LockExclusive).map_err(io::Error::from).or_fail_io(doing)?;
        Ok(file)
    }

    fn path_of(&self, about: &About) -> PathBuf {
        self.directory.join(format!("{about}.json"))
    }
}

impl Held<'_> {
    /// What has a problem, or is owed the news of its end. What a killed run had half written is taken away.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn all(&self) -> Result<Vec<About>> {
        let doing = || format!("looking into {}", self.store.directory.display());
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.store.directory).or_fail_io(doing)? {
            let entry = entry.or_fail_io(doing)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.ends_with(PARTIAL) {
                // Nothing reads it; one that cannot be removed is written over by the next.
                let _left = files::remove_if_there(&entry.path());
            }
            let about = name.strip_suffix(".json").map(str::parse);
            all.extend(about.and_then(std::result::Result::ok));
        }
        all.sort();
        Ok(all)
    }

    /// The problem, if there is one. Of one that cannot be understood nothing is known but that it was there: that is said,
    /// and told as if nobody had heard of it, for an alert too many is better than one too few.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn problem(&self, about: &About) -> Result<Option<Problem>> {
        let path = self.store.path_of(about);
        let doing = || format!("reading {}", path.display());
        let mut text = Vec::new();
        match files::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.and_then(|file| file.take(LARGEST).read_to_end(&mut text)).or_fail_io(doing)?,
        };
        let why = match serde_json::from_slice::<Problem>(&text) {
            Ok(problem) if problem.about == *about => return Ok(Some(problem)),
            Ok(problem) => format!("it is about {}", problem.about),
            Err(error) => error.to_string(),
        };
        log::warn!("{}: {why}: what was told is not known, and is told again", doing());
        if *about == About::Test {
            return self.remove(about).map(|()| None);
        }
        Ok(Some(Problem::recovered(about.clone(), &why, Timestamp::now())))
    }

    /// How many problems last besides this one. One that cannot be read counts.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn others(&self, about: &About) -> Result<u64> {
        let lasts = |other: &About| {
            other != about && !matches!(self.problem(other), Ok(None | Some(Problem { over: Some(_), .. })))
        };
        Ok(self.all()?.iter().filter(|other| lasts(other)).count() as u64)
    }

    /// Puts it on the disk, or takes it away when it is done.
    ///
    /// # Errors
    /// I/O (74), CannotCreate (73) on a full disk or when there are too many.
    pub(crate) fn keep(&self, problem: &Problem) -> Result<()> {
        let path = self.store.path_of(&problem.about);
        if problem.is_done() {
            return self.remove(&problem.about);
        }
        let doing = || format!("writing {}", path.display());
        if !path.exists() && self.all()?.len() >= MOST {
            return Err(Failure::new(Exit::CannotCreate, doing())
                .because(format!("there are {MOST} problems already"))
                .advise("Mend them, and remove the files of those that are over"));
        }
        let json = serde_json::to_vec_pretty(problem).or_fail(Exit::Software, doing)?;
        files::replace_on_disk(&path, &json, 0o600).or_fail_io(doing)
    }

    /// Takes the file away.
    ///
    /// # Errors
    /// I/O.
    fn remove(&self, about: &About) -> Result<()> {
        let path = self.store.path_of(about);
        // On the disk too: a plug that is pulled must not bring back what was told.
        files::remove_if_there(&path)
            .and_then(|()| files::sync_directory(&self.store.directory))
            .or_fail_io(|| format!("removing {}", path.display()))
    }
}

/// The end of a name that nothing reads yet.
const PARTIAL: &str = ".partial";
