//! The journal, with priorities that the `log` crate does not have, and the line on every terminal. journald writes
//! emergencies to all terminals (journald.conf(5), `ForwardToWall=`), so this module opens none.

use std::io::IsTerminal;
use std::os::unix::net::UnixDatagram;

use nexus_cli::failure::{OrFailIo, Result};
use nexus_cli::journal::message_id;
use nexus_cli::text::printable;
use nexus_problems::Level;

use crate::alert::Alert;
use crate::incident::AlertKind;

/// The socket of journald (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>).
const SOCKET: &str = "/run/systemd/journal/socket";

/// The priorities of syslog(3).
const EMERGENCY: u8 = 0;
const ALERT: u8 = 1;
const WARNING: u8 = 4;
const NOTICE: u8 = 5;

/// Writes the alert to the journal, with `wall` to every terminal, and to standard error if that is a terminal.
///
/// # Errors
/// I/O, when journald does not accept the entry.
pub(crate) fn send(alert: &Alert, wall: bool) -> Result<()> {
    if std::io::stderr().is_terminal() {
        eprintln!("{}", printable(&alert.title));
    }
    let priority = match alert.level {
        Some(_) | None if !alert.is_bad() => NOTICE,
        Some(Level::Warning) => WARNING,
        Some(Level::Critical) | None => ALERT,
    };
    write(&entry(alert, priority, message_id_of(alert)))?;
    if wall { write(&entry(alert, EMERGENCY, None)) } else { Ok(()) }
}

fn message_id_of(alert: &Alert) -> Option<&'static str> {
    let is_health = alert.problem.is_some();
    match alert.kind {
        AlertKind::Failed | AlertKind::Escalated if is_health => Some(message_id::PROBLEM_FOUND),
        AlertKind::Reminder if is_health => Some(message_id::PROBLEM_LASTS),
        AlertKind::Resolved if is_health => Some(message_id::PROBLEM_OVER),
        AlertKind::Failed | AlertKind::Escalated => Some(message_id::ALERT_FAILED),
        AlertKind::Reminder => Some(message_id::ALERT_STILL),
        AlertKind::Resolved => Some(message_id::ALERT_OVER),
        AlertKind::Test => None,
    }
}

/// Formats an entry as `NAME=value` lines. No value contains a line end.
fn entry(alert: &Alert, priority: u8, message_id: Option<&str>) -> String {
    let mut entry = format!("PRIORITY={priority}\nSYSLOG_IDENTIFIER=nexus-alert\nNEXUS_JOB=alert\n");
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            entry.push_str(&format!("{name}={}\n", printable(value)));
        }
    };
    add("MESSAGE_ID", message_id);
    add("NEXUS_UNIT", alert.unit.as_deref());
    add("NEXUS_PROBLEM", alert.problem.as_deref());
    add("MESSAGE", Some(&alert.title));
    entry
}

fn write(entry: &str) -> Result<()> {
    let doing = || format!("writing to the journal at {SOCKET}");
    let socket = UnixDatagram::unbound().or_fail_io(doing)?;
    socket.send_to(entry.as_bytes(), SOCKET).or_fail_io(doing).map(drop)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::incident::Incident;

    #[test]
    fn no_title_can_add_a_field_to_an_entry() {
        let test = Incident::test(&[], Timestamp::UNIX_EPOCH);
        let mut alert = Alert::of(&test, AlertKind::Test, 1, 0);
        alert.title = "a\nPRIORITY=7".to_owned();
        assert_eq!(
            entry(&alert, EMERGENCY, Some("id")),
            "PRIORITY=0\nSYSLOG_IDENTIFIER=nexus-alert\nNEXUS_JOB=alert\nMESSAGE_ID=id\nMESSAGE=a\\nPRIORITY=7\n"
        );
    }
}
