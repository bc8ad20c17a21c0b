//! What a run has told and sent, for people and programs.

use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::output;
use nexus_core::text::counted;
use serde::Serialize;

use crate::alert::Alert;
use crate::ways::Way;

/// What was done. Serialized it is the answer of `--json`.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    /// What is new: in the journal now, and on its way by the others.
    pub(crate) told: Vec<Alert>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) unsent: Vec<Unsent>,
}

/// A message that was taken.
#[derive(Serialize)]
pub(crate) struct Sent {
    /// `None` for a test.
    pub(crate) unit: Option<String>,
    pub(crate) way: Way,
}

/// A message that was not.
#[derive(Serialize)]
pub(crate) struct Unsent {
    unit: Option<String>,
    way: Way,
    why: String,
    #[serde(skip)]
    exit: Exit,
}

impl Unsent {
    pub(crate) fn new(unit: Option<String>, way: Way, failure: &Failure) -> Self {
        Self { unit, way, why: failure.to_string(), exit: failure.exit() }
    }
}

impl Report {
    /// Tells standard output.
    ///
    /// # Errors
    /// What kept the first message from being sent; each has been said already.
    pub(crate) fn tell(&self, json: bool) -> Result<()> {
        if json {
            output::json(self)?;
        } else {
            output::print(&self.text())?;
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
        let what = |unit: &Option<String>| unit.clone().unwrap_or_else(|| "test alert".to_owned());
        let line = |sent: &Sent| format!("sent by {}: {}\n", sent.way, what(&sent.unit));
        self.sent.iter().map(line).collect::<Vec<_>>().concat()
    }
}
