//! The state of a unit.

use jiff::Timestamp;

/// Whether a unit is healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnitHealth {
    Failed,
    /// The unit runs or has ended successfully, since the given time; `None` when systemd reported it just now.
    Well(Option<Timestamp>),
    /// The unit has not started since boot, or is starting.
    Unknown,
}

/// What systemd reports about a unit.
pub(crate) struct UnitState {
    pub(crate) health: UnitHealth,
    pub(crate) result: String,
    pub(crate) exit: Option<String>,
}
