//! A snapshot of the units' state, read from systemd over D-Bus (org.freedesktop.systemd1(5)).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nexus_problems::systemd::{MANAGER, proxy};
use zbus::Connection;
use zbus::zvariant::OwnedObjectPath;

const DAY: Duration = Duration::from_secs(86_400);

/// The timers with a calendar, and the longest time to their next run that it allows. A clock that was once years ahead
/// leaves a next run in those years (systemd#6036).
pub(super) const CALENDARS: [(&str, Duration); 4] = [
    ("nexus-backup.timer", DAY.saturating_mul(2)),
    ("nexus-purge.timer", DAY.saturating_mul(2)),
    ("nexus-restore-test.timer", DAY.saturating_mul(40)),
    ("nexus-alert-test.timer", DAY.saturating_mul(40)),
];

/// A unit that is loaded.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) name: String,
    /// `active`, `activating`, `failed`, …
    pub(super) active: String,
    pub(super) path: OwnedObjectPath,
}

/// A socket that has failed.
#[derive(Clone, Debug)]
pub(super) struct FailedSocket {
    pub(super) name: String,
    /// Where it should listen.
    pub(super) addresses: Vec<String>,
    /// When it failed.
    pub(super) at: SystemTime,
}

/// A row of `ListUnitsByPatterns`.
type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// What systemd reports about the units of NEXUS.
#[derive(Debug, Default)]
pub(super) struct UnitSnapshot {
    pub(super) units: Vec<Unit>,
    /// Name and state of each unit file.
    pub(super) files: Vec<(String, String)>,
    /// The active timers that have a calendar, and the time until their next run; `None` where there is none.
    pub(super) next: Vec<(String, Option<Duration>)>,
    /// The sockets that this machine does not need, as their `Condition…=` say.
    pub(super) unneeded_sockets: Vec<String>,
    /// The sockets that have failed.
    pub(super) failed_sockets: Vec<FailedSocket>,
    /// For a starting stack: how often systemd has retried, and for how long it has been starting.
    pub(super) starting: Option<(u32, Duration)>,
}

impl UnitSnapshot {
    /// Returns the state of a loaded unit.
    pub(super) fn active(&self, name: &str) -> Option<&str> {
        self.units.iter().find(|unit| unit.name == name).map(|unit| unit.active.as_str())
    }

    /// Returns the names of the unit files in one of `states`.
    pub(super) fn in_state(&self, states: &[&str]) -> impl Iterator<Item = &str> {
        let is_in = move |(name, state): &&(String, String)| {
            states.iter().any(|wanted| wanted == state).then_some(name).is_some()
        };
        let names: Vec<&str> = self.files.iter().filter(is_in).map(|(name, _)| name.as_str()).collect();
        names.into_iter()
    }
}

/// Reads a snapshot.
pub(super) async fn read(bus: &Connection) -> zbus::Result<UnitSnapshot> {
    let manager = proxy(bus, MANAGER, "Manager").await?;
    // Slices: an array of fixed length would go over the bus as a structure.
    let (states, patterns): (&[&str], &[&str]) = (&[], &["nexus-*", "nexus.*"]);
    let rows: Vec<Row> = manager.call("ListUnitsByPatterns", &(states, patterns)).await?;
    let units: Vec<Unit> =
        rows.into_iter().map(|row| Unit { name: row.0, active: row.3, path: row.6 }).collect();
    let files: Vec<(String, String)> = manager.call("ListUnitFilesByPatterns", &(states, patterns)).await?;
    let files = files
        .into_iter()
        .map(|(path, state)| (path.rsplit('/').next().unwrap_or_default().to_owned(), state))
        .collect();
    let mut snapshot = UnitSnapshot { units, files, ..UnitSnapshot::default() };
    for unit in &snapshot.units {
        match (unit.name.as_str(), unit.active.as_str()) {
            (name, "active") if CALENDARS.iter().any(|(timer, _)| *timer == name) => {
                note_next_run(bus, unit, &mut snapshot.next).await?;
            }
            (name, "failed") if name.ends_with(".socket") => {
                let socket = proxy(bus, unit.path.as_str(), "Socket").await?;
                let listen: Vec<(String, String)> = socket.get_property("Listen").await?;
                let addresses = listen.into_iter().map(|(_, address)| address).collect();
                let of_unit = proxy(bus, unit.path.as_str(), "Unit").await?;
                let at: u64 = of_unit.get_property("StateChangeTimestamp").await?;
                let at = UNIX_EPOCH + Duration::from_micros(at);
                snapshot.failed_sockets.push(FailedSocket { name: unit.name.clone(), addresses, at });
            }
            (name, "inactive") if name.ends_with(".socket") => {
                let socket = proxy(bus, unit.path.as_str(), "Unit").await?;
                // systemd evaluates the condition at the start; 0 means that no start was due yet.
                let is_met: bool = socket.get_property("ConditionResult").await?;
                let at: u64 = socket.get_property("ConditionTimestamp").await?;
                if at != 0 && !is_met {
                    snapshot.unneeded_sockets.push(unit.name.clone());
                }
            }
            ("nexus-stack.service", "activating") => {
                let service = proxy(bus, unit.path.as_str(), "Service").await?;
                let tries = service.get_property("NRestarts").await?;
                let of_unit = proxy(bus, unit.path.as_str(), "Unit").await?;
                let begun: u64 = of_unit.get_property("InactiveExitTimestamp").await?;
                snapshot.starting = Some((tries, now().saturating_sub(Duration::from_micros(begun))));
            }
            (_, _) => {}
        }
    }
    Ok(snapshot)
}

/// Notes the time until the next run. A timer whose job runs has no next run yet and is left out.
async fn note_next_run(
    bus: &Connection,
    timer: &Unit,
    all: &mut Vec<(String, Option<Duration>)>,
) -> zbus::Result<()> {
    let path = timer.path.as_str();
    let next: u64 = proxy(bus, path, "Timer").await?.get_property("NextElapseUSecRealtime").await?;
    if next != 0 && next != u64::MAX {
        all.push((timer.name.clone(), Some(Duration::from_micros(next).saturating_sub(now()))));
        return Ok(());
    }
    let state: String = proxy(bus, path, "Unit").await?.get_property("SubState").await?;
    if state != "running" {
        all.push((timer.name.clone(), None));
    }
    Ok(())
}

/// Returns the time since the epoch.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
