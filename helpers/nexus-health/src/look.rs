//! What a check gives back, and what it is given.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::args::{Args, DOCKER};
use crate::check::docker::containers::Container;
use crate::finding::{Finding, Metric};

/// All that one look has found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// For people.
    pub(crate) findings: Vec<Finding>,
    /// For the metrics file.
    pub(crate) metrics: Vec<Metric>,
    /// For the healing.
    pub(crate) facts: Vec<Fact>,
}

impl Look {
    /// A look that has found one thing only.
    pub(crate) fn only(finding: Finding) -> Self {
        Self { findings: vec![finding], ..Self::default() }
    }

    /// Adds a finding.
    pub(crate) fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Adds a number.
    pub(crate) fn metric(&mut self, metric: Metric) {
        self.metrics.push(metric);
    }
}

/// What the healing has to know.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// How PostgreSQL answered.
    Postgres(Answer),
    /// How Redis answered.
    Redis(Answer),
    /// The containers of the stack; `None` when Docker does not say.
    Containers(Option<Vec<Container>>),
    /// What systemd has to say of the stack.
    Stack(Stack),
    /// Containers and volumes of throwaway servers.
    Scratch(usize),
    /// What killed backups have left.
    PartialSets(usize),
    /// Whether a start by systemd helps a unit: a timer whose next run is years away, a socket whose port is free again.
    UnitsToStart(bool),
}

/// How a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It does.
    Answers,
    /// It says that it is starting, stopping, or too busy for one more: it lives.
    NotNow,
    /// It takes a connection and says nothing, so that it may be hung.
    Silent,
    /// Nobody listens on its socket.
    Absent,
    /// The directory of its socket is gone.
    NoDirectory,
}

/// The units that bring the containers up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stack {
    /// Whether `nexus.target` is active, so that the stack is wanted.
    pub(crate) is_wanted: bool,
    /// What `nexus-stack.service` is.
    pub(crate) state: StackState,
}

/// What `nexus-stack.service` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StackState {
    /// It brought the containers up.
    Up,
    /// It is at work.
    Changing,
    /// It is down.
    Down,
}

/// What all checks are given.
#[derive(Debug)]
pub(crate) struct Ctx {
    /// The settings.
    pub(crate) args: Args,
    /// Where the servers say that they keep their data.
    pub(crate) directories: Mutex<Directories>,
    /// Whether Docker has said where its directory is, or cannot.
    docker_has_said: (Mutex<bool>, Condvar),
}

/// Where the servers say that they keep their data; `None` as long as they have not been asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directories {
    /// `data_directory`
    pub(crate) postgres: Option<String>,
    /// `dir`
    pub(crate) redis: Option<String>,
    /// Docker's, below which the volumes are.
    pub(crate) docker: Option<PathBuf>,
}

/// Seconds that the check of Docker may take, and that a single round waits to learn Docker's directory; a process with more
/// rounds knows it the next time.
pub(crate) const DOCKER_SAYS: u64 = 20;

impl Ctx {
    /// What all checks are given.
    pub(crate) fn new(args: Args) -> Self {
        Self { args, directories: Mutex::default(), docker_has_said: Default::default() }
    }

    /// Where the servers keep their data.
    pub(crate) fn directories(&self) -> Directories {
        self.directories.lock().map(|d| d.clone()).unwrap_or_default()
    }

    /// Returns Docker's directory as Docker reports it, or the setting if that is not the default.
    pub(crate) fn docker_directory(&self) -> PathBuf {
        let setting = &self.args.data_dir;
        if setting != Path::new(DOCKER) {
            return setting.clone();
        }
        let (has_said, news) = &self.docker_has_said;
        if self.args.is_one_look()
            && let Ok(has_said) = has_said.lock()
        {
            // Poisoned only by a panic, which ends the process.
            let _said =
                news.wait_timeout_while(has_said, Duration::from_secs(DOCKER_SAYS), |has_said| !*has_said);
        }
        self.directories().docker.unwrap_or_else(|| setting.clone())
    }

    /// Notes Docker's directory, or that it does not say.
    pub(crate) fn note_docker(&self, directory: Option<PathBuf>) {
        if directory.is_some() {
            self.note_directory(|directories| directories.docker = directory);
        }
        let (has_said, news) = &self.docker_has_said;
        if let Ok(mut has_said) = has_said.lock() {
            *has_said = true;
        }
        news.notify_all();
    }

    /// Notes where a server keeps its data.
    pub(crate) fn note_directory(&self, note: impl FnOnce(&mut Directories)) {
        // Poisoned only by a panic, which ends the process.
        if let Ok(mut directories) = self.directories.lock() {
            note(&mut directories);
        }
    }
}

/// Looks at one part of the whole. It keeps what it needs from look to look.
pub(crate) trait Check: Send {
    /// Looks. What cannot be looked at is a finding too.
    fn look(&mut self, ctx: &Ctx) -> Look;
}
