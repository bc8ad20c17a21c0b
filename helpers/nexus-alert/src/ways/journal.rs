//! The journal's line, with a priority that the `log` crate has no word for, and the line on every terminal: journald
//! itself writes what is an emergency there (journald.conf(5), `ForwardToWall=`), so no terminal need be opened here.

use std::io::IsTerminal;
use std::os::unix::net::UnixDatagram;

use nexus_cli::failure::{OrFailIo, Result};
use nexus_cli::journal::message_id;
use nexus_cli::text::printable;
use nexus_problems::Level;

use crate::alert::Alert;
use crate::problem::Kind;

/// Where journald takes entries (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>).
const SOCKET: &str = "/run/systemd/journal/socket";

/// The priorities of syslog(3).
const EMERGENCY: u8 = 0;
const ALERT: u8 = 1;
const WARNING: u8 = 4;
const NOTICE: u8 = 5;

/// Writes the line, and with `wall` the one on every terminal; a person at a terminal sees it there.
///
/// # Errors
/// I/O, when journald does not take it.
pub(crate) fn tell(alert: &Alert, wall: bool) -> Result<()> {
    if std::io::stderr().is_terminal() {
        eprintln!("{}", printable(&alert.subject));
    }
    let priority = match alert.level {
        _ if !alert.is_bad() => NOTICE,
        Some(Level::Warning) => WARNING,
        Some(Level::Critical) | None => ALERT,
    };
    send(&entry(alert, priority, message_id_of(alert)))?;
    if wall { send(&entry(alert, EMERGENCY, None)) } else { Ok(()) }
}

fn message_id_of(alert: &Alert) -> Option<&'static str> {
    let is_of_health = alert.problem.is_some();
    match alert.kind {
        Kind::Failed | Kind::Worse if is_of_health => Some(message_id::PROBLEM_FOUND),
        Kind::Still if is_of_health => Some(message_id::PROBLEM_LASTS),
        Kind::Over if is_of_health => Some(message_id::PROBLEM_OVER),
        Kind::Failed | Kind::Worse => Some(message_id::ALERT_FAILED),
        Kind::Still => Some(message_id::ALERT_STILL),
        Kind::Over => Some(message_id::ALERT_OVER),
        Kind::Test => None,
    }
}

/// An entry: `NAME=value` lines, no value with a line end in it.
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
    add("MESSAGE", Some(&alert.subject));
    entry
}

fn send(entry: &str) -> Result<()> {
    let doing = || format!("writing to the journal at {SOCKET}");
    let socket = UnixDatagram::unbound().or_fail_io(doing)?;
    socket.send_to(entry.as_bytes(), SOCKET).or_fail_io(doing).map(drop)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::problem::Problem;

    #[test]
    fn an_entry_has_one_field_a_line_whatever_the_subject() {
        let test = Problem::test(&[], Timestamp::UNIX_EPOCH);
        let mut alert = Alert::of(&test, Kind::Test, 1, 0);
        alert.subject = "a\nPRIORITY=7".to_owned();
        assert_eq!(
            entry(&alert, EMERGENCY, Some("id")),
            "PRIORITY=0\nSYSLOG_IDENTIFIER=nexus-alert\nNEXUS_JOB=alert\nMESSAGE_ID=id\nMESSAGE=a\\nPRIORITY=7\n"
        );
    }
}
