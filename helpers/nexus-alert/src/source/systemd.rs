//! The state of a unit, read from systemd over D-Bus (org.freedesktop.systemd1(5)).

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_problems::systemd::{MANAGER, ask, proxy};
use nix::sys::signal::Signal;
use zbus::Connection;
use zbus::zvariant::{OwnedObjectPath, OwnedValue};

use super::unit_state::{UnitHealth, UnitState};
use crate::unit::UnitName;

/// Returns the state of `unit` now.
///
/// # Errors
/// Unavailable (69) when systemd does not answer, Usage (64) when there is no such unit.
pub(super) fn state(unit: &UnitName) -> Result<UnitState> {
    let doing = || format!("querying systemd about {unit}");
    let Properties { load, active, result, exit, entered } =
        ask(async |bus| read(bus, unit).await).or_fail(Exit::Unavailable, doing)?;
    if load == "not-found" {
        return Err(Failure::new(Exit::Usage, doing())
            .because("there is no such unit")
            .advise("See: systemctl list-units --all 'nexus-*'"));
    }
    let since = i64::try_from(entered).ok().filter(|usec| *usec > 0);
    let since = since.and_then(|usec| Timestamp::from_microsecond(usec).ok());
    let health = match (active.as_str(), since) {
        ("failed", _) => UnitHealth::Failed,
        // A service that systemd restarts again and again is not well just because it is starting.
        _ if result != "success" => UnitHealth::Failed,
        ("active" | "reloading" | "inactive", Some(_)) => UnitHealth::Well(since),
        _ => UnitHealth::Unknown,
    };
    Ok(UnitState { health, result, exit })
}

struct Properties {
    load: String,
    active: String,
    result: String,
    exit: Option<String>,
    /// When the unit entered its current state, in microseconds since 1970; 0 for never.
    entered: u64,
}

async fn read(bus: &Connection, unit: &UnitName) -> zbus::Result<Properties> {
    let manager = proxy(bus, MANAGER, "Manager").await?;
    let path: OwnedObjectPath = manager.call("LoadUnit", &unit.as_str()).await?;
    let of_unit = proxy(bus, path.as_str(), "Unit").await?;
    let active: String = of_unit.get_property("ActiveState").await?;
    let is_active = matches!(active.as_str(), "active" | "reloading");
    let entered = if is_active { "ActiveEnterTimestamp" } else { "InactiveEnterTimestamp" };
    let kind = unit.as_str().rsplit_once('.').map_or("service", |(_, suffix)| suffix);
    let of_kind = proxy(bus, path.as_str(), &interface_of(kind)).await?;
    // A target has no Result, and cannot fail.
    let result = of_kind.get_property::<String>("Result").await.unwrap_or_else(|_| "success".to_owned());
    let exit = if kind == "service" {
        ended(of_kind.get_property("ExecMainCode").await?, of_kind.get_property("ExecMainStatus").await?)
    } else {
        None
    };
    Ok(Properties {
        load: of_unit.get_property("LoadState").await?,
        active,
        result,
        exit,
        entered: of_unit.get_property::<OwnedValue>(entered).await?.try_into()?,
    })
}

/// `service` → `Service`
fn interface_of(kind: &str) -> String {
    let (first, rest) = kind.split_at(1);
    first.to_uppercase() + rest
}

/// Describes how the main process ended, by the numbers of waitid(2).
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
