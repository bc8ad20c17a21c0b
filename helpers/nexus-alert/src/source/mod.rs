//! The sources of incidents: systemd and the journal for units, nexus-health's list for the rest.

pub(crate) mod health;
mod journal;
mod monitor;
mod systemd;
mod unit_state;

use nexus_cli::failure::Result;

use crate::details::Details;
use crate::unit::UnitName;

pub(crate) use unit_state::{UnitHealth, UnitState};

/// Returns the state of `unit`: what systemd passed in the environment of this process, or else what systemd reports now.
///
/// # Errors
/// Unavailable (69) when systemd does not answer, Usage (64) when there is no such unit.
pub(crate) fn state(unit: &UnitName) -> Result<UnitState> {
    match monitor::from_environment(unit, |name| std::env::var(name).ok()) {
        Some(state) => Ok(state),
        None => systemd::state(unit),
    }
}

/// Returns the health of `unit` now, whatever started this process.
///
/// # Errors
/// Those of [`state`].
pub(crate) fn health_now(unit: &UnitName) -> Result<UnitHealth> {
    systemd::state(unit).map(|state| state.health)
}

/// Returns the details of a failure of `unit`, with the last `lines` of its journal. An alert without the journal is
/// better than none, so an error of journalctl becomes a line.
pub(crate) fn details(unit: &UnitName, state: UnitState, lines: u16) -> Details {
    let read = journal::last_lines(unit, lines);
    let lines = read.unwrap_or_else(|failure| vec![format!("(cannot show its journal: {failure})")]);
    Details { result: Some(state.result), exit: state.exit, lines, reported: None }
}
