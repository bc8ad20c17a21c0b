//! What systemd hands over to a unit that `OnFailure=` or `OnSuccess=` has started (systemd.exec(5), `$MONITOR_UNIT`):
//! it is about that very run, whatever has become of the unit since.

use super::{Health, State};
use crate::unit::UnitName;

/// What is handed over about `unit`; `None` when nothing is, as when several units failed at once.
pub(super) fn handed_over(unit: &UnitName, env: impl Fn(&str) -> Option<String>) -> Option<State> {
    if env("MONITOR_UNIT")? != unit.as_str() {
        return None;
    }
    let result = env("MONITOR_SERVICE_RESULT")?;
    let health = if result == "success" { Health::Well(None) } else { Health::Failed };
    let exit = match (env("MONITOR_EXIT_CODE"), env("MONITOR_EXIT_STATUS")) {
        (Some(code), Some(status)) if code == "exited" => Some(format!("exited, status {status}")),
        (Some(code), Some(status)) => Some(format!("{code}, signal {status}")),
        _ => None,
    };
    Some(State { health, result, exit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_is_believed_for_that_unit_alone() {
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
        let state = handed_over(&"nexus-backup".parse().unwrap(), env).unwrap();
        assert_eq!((state.health, state.result.as_str()), (Health::Failed, "exit-code"));
        assert_eq!(state.exit.as_deref(), Some("exited, status 74"));
        assert!(handed_over(&"nexus-stack".parse().unwrap(), env).is_none());
        assert!(handed_over(&"nexus-backup".parse().unwrap(), |_| None).is_none());
    }
}
