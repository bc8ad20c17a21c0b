//! The environment that systemd passes to a unit started by `OnFailure=` or `OnSuccess=` (systemd.exec(5), `$MONITOR_UNIT`).
//! It describes the run that ended, even if the unit has changed since.

use super::unit_state::{UnitHealth, UnitState};
use crate::unit::UnitName;

/// Returns the state of `unit` from the environment, or `None` if it is not there, as when several units failed at once.
pub(super) fn from_environment(unit: &UnitName, env: impl Fn(&str) -> Option<String>) -> Option<UnitState> {
    if env("MONITOR_UNIT")? != unit.as_str() {
        return None;
    }
    let result = env("MONITOR_SERVICE_RESULT")?;
    let health = if result == "success" { UnitHealth::Well(None) } else { UnitHealth::Failed };
    let exit = match (env("MONITOR_EXIT_CODE"), env("MONITOR_EXIT_STATUS")) {
        (Some(code), Some(status)) if code == "exited" => Some(format!("exited, status {status}")),
        (Some(code), Some(status)) => Some(format!("{code}, signal {status}")),
        _ => None,
    };
    Some(UnitState { health, result, exit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_counts_for_its_unit_only() {
        let env = |name: &str| {
            let value = match name {
                "MONITOR_UNIT" => "nexus-backup.service",
                "MONITOR_SERVICE_RESULT" => "exit-code",
                "MONITOR_EXIT_CODE" => "exited",
                "MONITOR_EXIT_STATUS" => "74",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let state = from_environment(&"nexus-backup".parse().unwrap(), env).unwrap();
        assert_eq!((state.health, state.result.as_str()), (UnitHealth::Failed, "exit-code"));
        assert_eq!(state.exit.as_deref(), Some("exited, status 74"));
        assert!(from_environment(&"nexus-stack".parse().unwrap(), env).is_none());
        assert!(from_environment(&"nexus-backup".parse().unwrap(), |_| None).is_none());
    }
}
