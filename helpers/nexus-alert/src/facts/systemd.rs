//! Asking systemd about a unit, over D-Bus; only read (org.freedesktop.systemd1(5)).

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_problems::systemd::{MANAGER, proxy};
use nix::sys::signal::Signal;
use zbus::blocking::Connection;
use zbus::zvariant::{OwnedObjectPath, OwnedValue};

use super::{Health, State};
use crate::unit::UnitName;

/// How the unit is now.
///
/// # Errors
/// Unavailable (69) when systemd does not answer, Usage (64) when there is no such unit.
pub(super) fn state(unit: &UnitName) -> Result<State> {
    let doing = || format!("asking systemd about {unit}");
    let asked = ask(unit).or_fail(Exit::Unavailable, doing)?;
    let Asked { load, active, result, exit, entered } = asked;
    if load == "not-found" {
        return Err(Failure::new(Exit::Usage, doing())
            .because("there is no such unit")
            .advise("See: systemctl list-units --all 'nexus-*'"));
    }
    let since = i64::try_from(entered).ok().filter(|usec| *usec > 0);
    let since = since.and_then(|usec| Timestamp::from_microsecond(usec).ok());
    let health = match (active.as_str(), since) {
        ("failed", _) => Health::Failed,
        // A service that is started again and again is not well for being about to start.
        _ if result != "success" => Health::Failed,
        ("active" | "reloading" | "inactive", Some(_)) => Health::Well(since),
        _ => Health::Unknown,
    };
    Ok(State { health, result, exit })
}

struct Asked {
    load: String,
    active: String,
    result: String,
    exit: Option<String>,
    /// When it became what it is, microseconds since 1970; 0 for never.
    entered: u64,
}

fn ask(unit: &UnitName) -> zbus::Result<Asked> {
    let connection = Connection::system()?;
    let manager = proxy(&connection, MANAGER, "Manager")?;
    let path: OwnedObjectPath = manager.call("LoadUnit", &unit.as_str())?;
    let of_unit = proxy(&connection, path.as_str(), "Unit")?;
    let active: String = of_unit.get_property("ActiveState")?;
    let is_active = matches!(active.as_str(), "active" | "reloading");
    let entered = if is_active { "ActiveEnterTimestamp" } else { "InactiveEnterTimestamp" };
    let kind = unit.as_str().rsplit_once('.').map_or("service", |(_, suffix)| suffix);
    let of_kind = proxy(&connection, path.as_str(), &interface_of(kind))?;
    // A target has none, and cannot fail.
    let result = of_kind.get_property::<String>("Result").unwrap_or_else(|_| "success".to_owned());
    let exit = if kind == "service" {
        ended(of_kind.get_property("ExecMainCode")?, of_kind.get_property("ExecMainStatus")?)
    } else {
        None
    };
    Ok(Asked {
        load: of_unit.get_property("LoadState")?,
        active,
        result,
        exit,
        entered: of_unit.get_property::<OwnedValue>(entered)?.try_into()?,
    })
}

/// `service` → `Service`
fn interface_of(kind: &str) -> String {
    let (first, rest) = kind.split_at(1);
    first.to_uppercase() + rest
}

/// How the main process ended, by the numbers of waitid(2).
fn ended(code: i32, status: i32) -> Option<String> {
    let signal = || Signal::try_from(status).map_or_else(|_| status.to_string(), |s| s.to_string());
    match code {
        1 => Some(format!("exited, status {status}")),
        2 => Some(format!("killed, signal {}", signal())),
        3 => Some(format!("dumped, signal {}", signal())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_is_named() {
        assert_eq!(ended(1, 74).as_deref(), Some("exited, status 74"));
        assert_eq!(ended(2, 9).as_deref(), Some("killed, signal SIGKILL"));
        assert_eq!(ended(0, 0), None);
        assert_eq!(interface_of("service"), "Service");
    }
}
