//! The report of a check.

use crate::check::docker::containers::Container;
use crate::finding::{Finding, Metric};

/// What one run of a check found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) facts: Vec<Fact>,
}

impl Report {
    /// Returns a report with one finding.
    pub(crate) fn only(finding: Finding) -> Self {
        Self { findings: vec![finding], ..Self::default() }
    }

    /// Adds a finding.
    pub(crate) fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Adds a metric.
    pub(crate) fn metric(&mut self, metric: Metric) {
        self.metrics.push(metric);
    }
}

/// A fact that healing depends on.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// Whether PostgreSQL responds.
    Postgres(Liveness),
    /// Whether Redis responds.
    Redis(Liveness),
    /// The containers of the stack; `None` when Docker does not report them.
    Containers(Option<Vec<Container>>),
    /// The state of the stack's units.
    Stack(Stack),
    /// The number of leftover containers and volumes of throwaway servers.
    Scratch(usize),
    /// The number of partial sets that killed backups have left.
    PartialSets(usize),
    /// Whether starting a unit helps: a timer whose next run is years away, or a socket whose port is free again.
    UnitsToStart(bool),
}

/// How a server responds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// The server answers.
    Responsive,
    /// The server runs but refuses: it is starting, stopping, or has no free connection.
    Busy,
    /// The server accepts a connection and sends no reply, so it may hang.
    Unresponsive,
    /// Nothing listens on the server's socket.
    NotListening,
    /// The directory of the server's socket does not exist.
    NoDirectory,
}

/// The state of the units that start the containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stack {
    /// Whether `nexus.target` is active, so that the stack should be up.
    pub(crate) is_wanted: bool,
    pub(crate) state: StackState,
}

/// The state of `nexus-stack.service`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StackState {
    /// The containers are started.
    Up,
    /// The service is starting, stopping or reloading.
    Changing,
    /// The service is inactive or has failed.
    Down,
}
