//! What has happened to a unit: what systemd hands over or says when asked, and the last lines of its journal.

mod journal;
mod monitor;
mod systemd;

use jiff::Timestamp;
use nexus_core::failure::Result;
use serde::{Deserialize, Serialize};

use crate::unit::UnitName;

/// What an alert says of a failure; no secret is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// systemd's word for it, `exit-code` or `timeout` for instance (systemd.exec(5), `$SERVICE_RESULT`).
    pub(crate) result: String,
    /// How its main process ended: `exited, status 74`.
    pub(crate) exit: Option<String>,
    /// The last lines of its journal, secrets masked.
    pub(crate) lines: Vec<String>,
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
    Facts { result: state.result, exit: state.exit, lines }
}
