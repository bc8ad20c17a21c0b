//! What every check gets, and the trait that every check implements.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::args::{Args, DOCKER};
use crate::report::Report;

/// A check of one part of the system. It may keep what it needs from one run to the next.
pub(crate) trait Check: Send {
    /// Runs the check. A part that cannot be checked is a finding too.
    fn check(&mut self, ctx: &Context) -> Report;
}

/// What every check gets.
#[derive(Debug)]
pub(crate) struct Context {
    /// The settings.
    pub(crate) args: Args,
    /// The data directories of the servers.
    pub(crate) directories: Mutex<Directories>,
    /// Whether Docker has reported its directory, or has failed to.
    docker_has_reported: (Mutex<bool>, Condvar),
}

/// The data directories as the servers report them; `None` before the first report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directories {
    /// PostgreSQL's `data_directory`.
    pub(crate) postgres: Option<String>,
    /// Redis's `dir`.
    pub(crate) redis: Option<String>,
    /// Docker's data root, which holds the volumes.
    pub(crate) docker: Option<PathBuf>,
}

/// The limit of the check of Docker in seconds. A one-shot run waits this long for Docker's directory; a service knows it in
/// the next round.
pub(crate) const DOCKER_LIMIT: u64 = 20;

impl Context {
    /// Returns a context in which no directory is known.
    pub(crate) fn new(args: Args) -> Self {
        Self { args, directories: Mutex::default(), docker_has_reported: Default::default() }
    }

    /// Returns the data directories that are known now.
    pub(crate) fn directories(&self) -> Directories {
        self.directories.lock().map(|d| d.clone()).unwrap_or_default()
    }

    /// Returns Docker's directory as Docker reports it, or the setting if that is not the default.
    pub(crate) fn docker_directory(&self) -> PathBuf {
        let setting = &self.args.data_dir;
        if setting != Path::new(DOCKER) {
            return setting.clone();
        }
        let (has_reported, condition) = &self.docker_has_reported;
        if self.args.is_one_shot()
            && let Ok(has_reported) = has_reported.lock()
        {
            // Only a panic poisons the lock, and a panic ends the process.
            let _reported = condition.wait_timeout_while(
                has_reported,
                Duration::from_secs(DOCKER_LIMIT),
                |has_reported| !*has_reported,
            );
        }
        self.directories().docker.unwrap_or_else(|| setting.clone())
    }

    /// Notes Docker's directory, or that Docker does not report it.
    pub(crate) fn note_docker(&self, directory: Option<PathBuf>) {
        if directory.is_some() {
            self.note_directory(|directories| directories.docker = directory);
        }
        let (has_reported, condition) = &self.docker_has_reported;
        if let Ok(mut has_reported) = has_reported.lock() {
            *has_reported = true;
        }
        condition.notify_all();
    }

    /// Notes the data directory of a server.
    pub(crate) fn note_directory(&self, note: impl FnOnce(&mut Directories)) {
        // Only a panic poisons the lock, and a panic ends the process.
        if let Ok(mut directories) = self.directories.lock() {
            note(&mut directories);
        }
    }
}
