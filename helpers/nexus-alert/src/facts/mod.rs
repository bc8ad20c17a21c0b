//! What is known of a problem. Of a unit: what systemd hands over or says when asked, and the last lines of its journal; else
//! what nexus-health has found.

mod journal;
mod monitor;
mod systemd;

use jiff::Timestamp;
use nexus_cli::failure::Result;
use nexus_cli::text::printable;
use nexus_problems::Level;
use serde::{Deserialize, Serialize};

use crate::mask;
use crate::unit::UnitName;

/// Longer sentences are cut, in characters.
const LONGEST: usize = 500;

/// What an alert says of a problem; no secret is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// systemd's word for a unit's failure, `exit-code` or `timeout` for instance (systemd.exec(5), `$SERVICE_RESULT`).
    pub(crate) result: Option<String>,
    /// How the unit's main process ended: `exited, status 74`.
    pub(crate) exit: Option<String>,
    /// The last lines of the unit's journal, secrets masked.
    pub(crate) lines: Vec<String>,
    /// What nexus-health has found.
    pub(crate) found: Option<Found>,
}

/// What nexus-health says of a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) level: Level,
    pub(crate) sentence: String,
    pub(crate) advice: String,
    pub(crate) since: Timestamp,
}

impl Facts {
    /// How bad it is, by nexus-health.
    pub(crate) fn level(&self) -> Option<Level> {
        self.found.as_ref().map(|found| found.level)
    }

    /// Since when it is so, by nexus-health.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.found.as_ref().map(|found| found.since)
    }
}

/// A sentence may quote a server or a file: masked, in one line, and no longer than a person reads.
impl From<nexus_problems::Problem> for Facts {
    fn from(problem: nexus_problems::Problem) -> Self {
        let plain = |text: &str| printable(&mask::one_line(text)).chars().take(LONGEST).collect::<String>();
        let found = Found {
            level: problem.level,
            sentence: plain(&problem.sentence),
            advice: plain(&problem.advice),
            since: problem.since,
        };
        Self { found: Some(found), ..Self::default() }
    }
}

/// How a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Failed,
    /// It runs, or has ended as it should. When that began; `None` when systemd has just said so.
    Well(Option<Timestamp>),
    /// Not started since boot, or still at it.
    Unknown,
}

/// What is known of a unit before its journal is read.
pub(crate) struct State {
    pub(crate) health: Health,
    pub(crate) result: String,
    pub(crate) exit: Option<String>,
}

/// How `unit` is: what the unit that started this process says of itself, else what systemd says.
///
/// # Errors
/// Unavailable (69) when systemd does not answer, Usage (64) when there is no such unit.
pub(crate) fn state(unit: &UnitName) -> Result<State> {
    match monitor::handed_over(unit, |name| std::env::var(name).ok()) {
        Some(state) => Ok(state),
        None => systemd::state(unit),
    }
}

/// How `unit` is now, whoever started this process.
///
/// # Errors
/// As [`state`].
pub(crate) fn health_now(unit: &UnitName) -> Result<Health> {
    systemd::state(unit).map(|state| state.health)
}

/// What `state` is to an alert, with the last `lines` of its journal. An alert without lines is better than none: that
/// they cannot be read is one of them.
pub(crate) fn facts(unit: &UnitName, state: State, lines: u16) -> Facts {
    let read = journal::last_lines(unit, lines);
    let lines = read.unwrap_or_else(|failure| vec![format!("(its journal cannot be shown: {failure})")]);
    Facts { result: Some(state.result), exit: state.exit, lines, found: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_health_quotes_is_masked_cut_and_one_line() {
        let problem = |sentence: String| nexus_problems::Problem {
            id: "postgres".parse().unwrap(),
            level: Level::Critical,
            sentence,
            advice: "Start it: systemctl start nexus-stack".to_owned(),
            since: Timestamp::UNIX_EPOCH,
        };
        let said = |sentence: &str| Facts::from(problem(sentence.to_owned())).found.unwrap().sentence;
        assert_eq!(said("It says\npassword=hunter2"), "It says\\npassword=[masked]");
        assert_eq!(said(&"long ".repeat(1000)).len(), LONGEST);
        let plain = "The newest backup is 50 hours old, and none is proven since 2026-11-01 03:00:12 UTC.";
        assert_eq!(said(plain), plain);
        assert_eq!(
            Facts::from(problem(String::new())).found.unwrap().advice,
            "Start it: systemctl start nexus-stack"
        );
    }
}
