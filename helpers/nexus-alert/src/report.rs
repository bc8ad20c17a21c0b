//! What a run has told and sent, for people and programs.

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::output;
use nexus_cli::text::counted;
use serde::Serialize;

use crate::about::About;
use crate::alert::Alert;
use crate::ways::Way;

/// What was done. Serialized it is the answer of `--json`.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    /// What is new: in the journal now, and on its way by the others.
    pub(crate) told: Vec<Alert>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) unsent: Vec<Unsent>,
    /// What else went wrong, with one problem or another.
    #[serde(skip)]
    failures: Vec<Failure>,
}

/// A message that was taken.
#[derive(Serialize)]
pub(crate) struct Sent {
    pub(crate) about: About,
    pub(crate) way: Way,
}

/// A message that was not.
#[derive(Serialize)]
pub(crate) struct Unsent {
    about: About,
    way: Way,
    why: String,
    #[serde(skip)]
    exit: Exit,
}

impl Unsent {
    pub(crate) fn new(about: About, way: Way, failure: &Failure) -> Self {
        Self { about, way, why: failure.to_string(), exit: failure.exit() }
    }
}

impl Report {
    /// Of what is new.
    pub(crate) fn of(told: Vec<Alert>) -> Self {
        Self { told, ..Self::default() }
    }

    /// Adds what is new of one problem, or what went wrong with it, and says the latter.
    pub(crate) fn note(&mut self, news: Result<Vec<Alert>>) {
        match news {
            Ok(alerts) => self.told.extend(alerts),
            Err(failure) => {
                log::error!("{failure}");
                self.failures.push(failure);
            }
        }
    }

    /// This and what came of sending it.
    pub(crate) fn and(mut self, sent: Self) -> Self {
        self.told.extend(sent.told);
        self.sent.extend(sent.sent);
        self.unsent.extend(sent.unsent);
        self.failures.extend(sent.failures);
        self
    }

    /// Tells standard output.
    ///
    /// # Errors
    /// What else went wrong first, or what kept the first message from being sent; each has been said already.
    pub(crate) fn tell(mut self, json: bool) -> Result<()> {
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
                    format!("{count} could not be sent, the first by {}", first.way),
                )
                .because(first.why.clone()))
            }
        }
    }

    fn text(&self) -> String {
        let what = |about: &About| match about {
            About::Test => "test alert".to_owned(),
            other => other.to_string(),
        };
        let line = |sent: &Sent| format!("sent by {}: {}\n", sent.way, what(&sent.about));
        self.sent.iter().map(line).collect::<Vec<_>>().concat()
    }
}
