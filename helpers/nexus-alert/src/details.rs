//! The details of an incident, as an alert shows them.

use jiff::Timestamp;
use nexus_problems::Level;
use serde::{Deserialize, Serialize};

/// What is known about an incident. Secrets are masked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Details {
    /// systemd's name for the failure of a unit, such as `exit-code` or `timeout` (systemd.exec(5), `$SERVICE_RESULT`).
    pub(crate) result: Option<String>,
    /// How the unit's main process ended: `exited, status 74`.
    pub(crate) exit: Option<String>,
    /// The last lines of the unit's journal.
    pub(crate) lines: Vec<String>,
    /// The problem that nexus-health reported.
    #[serde(rename = "found")]
    pub(crate) reported: Option<Reported>,
}

/// A problem as nexus-health reported it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reported {
    pub(crate) level: Level,
    pub(crate) sentence: String,
    pub(crate) advice: String,
    pub(crate) since: Timestamp,
}

impl Details {
    /// Returns the level that nexus-health reported.
    pub(crate) fn level(&self) -> Option<Level> {
        self.reported.as_ref().map(|reported| reported.level)
    }

    /// Returns when the problem began, as nexus-health reported it.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.reported.as_ref().map(|reported| reported.since)
    }
}
