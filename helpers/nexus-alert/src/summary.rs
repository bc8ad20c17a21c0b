//! The summary of a run, for people and programs.

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::output;
use nexus_cli::text::{counted, printable};
use serde::Serialize;

use crate::alert::Alert;
use crate::channel::Channel;
use crate::subject::Subject;

/// What a run did. Serialized, it is the output of `--json`.
#[derive(Default, Serialize)]
pub(crate) struct Summary {
    /// The alerts that are now in the journal and in the queue.
    #[serde(rename = "told")]
    pub(crate) queued: Vec<Alert>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) unsent: Vec<Unsent>,
    /// Errors other than those in `unsent`.
    #[serde(skip)]
    failures: Vec<Failure>,
}

/// A message that a channel accepted.
#[derive(Serialize)]
pub(crate) struct Sent {
    #[serde(rename = "about")]
    pub(crate) subject: Subject,
    #[serde(rename = "way")]
    pub(crate) channel: Channel,
}

/// A message that a channel did not accept.
#[derive(Serialize)]
pub(crate) struct Unsent {
    #[serde(rename = "about")]
    subject: Subject,
    #[serde(rename = "way")]
    channel: Channel,
    why: String,
    #[serde(skip)]
    exit: Exit,
}

impl Unsent {
    pub(crate) fn new(subject: Subject, channel: Channel, failure: &Failure) -> Self {
        Self { subject, channel, why: failure.to_string(), exit: failure.exit() }
    }
}

impl Summary {
    /// Returns the summary of a run that queued these alerts.
    pub(crate) fn of(queued: Vec<Alert>) -> Self {
        Self { queued, ..Self::default() }
    }

    /// Adds the alerts of one incident, or logs and keeps the error.
    pub(crate) fn note(&mut self, alerts: Result<Vec<Alert>>) {
        match alerts {
            Ok(alerts) => self.queued.extend(alerts),
            Err(failure) => {
                log::error!("{failure}");
                self.failures.push(failure);
            }
        }
    }

    /// Returns both summaries as one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.queued.extend(other.queued);
        self.sent.extend(other.sent);
        self.unsent.extend(other.unsent);
        self.failures.extend(other.failures);
        self
    }

    /// Prints the summary to standard output.
    ///
    /// # Errors
    /// The first error of the run, or else the reason why the first unsent message was not sent. Each is logged already.
    pub(crate) fn print(mut self, json: bool) -> Result<()> {
        if json {
            output::json(&self)?;
        } else {
            output::print(&self.text())?;
        }
        if !self.failures.is_empty() {
            return Err(self.failures.swap_remove(0));
        }
        match self.unsent.first() {
            None => Ok(()),
            Some(first) => {
                let count = counted(self.unsent.len() as u64, "message");
                Err(Failure::new(
                    first.exit,
                    format!("{count} could not be sent, the first by {}", first.channel),
                )
                .because(first.why.clone()))
            }
        }
    }

    fn text(&self) -> String {
        let name = |subject: &Subject| match subject {
            Subject::Test => "test alert".to_owned(),
            Subject::Unit(_) | Subject::Health(_) => subject.to_string(),
        };
        let line = |sent: &Sent| format!("sent by {}: {}\n", sent.channel, printable(&name(&sent.subject)));
        self.sent.iter().map(line).collect()
    }
}
