//! The journal's line, with a priority that the `log` crate has no word for, and the line on every terminal: journald
//! itself writes what is an emergency there (journald.conf(5), `ForwardToWall=`), so no terminal need be opened here.

use std::io::IsTerminal;
use std::os::unix::net::UnixDatagram;

use nexus_core::failure::{OrFailIo, Result};
use nexus_core::journal::message_id;
use nexus_core::text::printable;

use crate::alert::Alert;
use crate::problem::Kind;

/// Where journald takes entries (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>).
const SOCKET: &str = "/run/systemd/journal/socket";

/// The priorities of syslog(3).
const EMERGENCY: u8 = 0;
const ALERT: u8 = 1;
const NOTICE: u8 = 5;

/// Writes the line, and with `wall` the one on every terminal; a person at a terminal sees it there.
///
/// # Errors
/// I/O, when journald does not take it.
pub(crate) fn tell(alert: &Alert, wall: bool) -> Result<()> {
    if std::io::stderr().is_terminal() {
        eprintln!("{}", alert.subject);
    }
    let priority = if matches!(alert.kind, Kind::Failed | Kind::Still) { ALERT } else { NOTICE };
    send(&entry(alert, priority, message_id_of(alert.kind)))?;
    if wall { send(&entry(alert, EMERGENCY, None)) } else { Ok(()) }
}

fn message_id_of(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Failed => Some(message_id::ALERT_FAILED),
        Kind::Still => Some(message_id::ALERT_STILL),
        Kind::Over => Some(message_id::ALERT_OVER),
        Kind::Test => None,
    }
}

/// An entry: `NAME=value` lines, no value with a line end in it.
fn entry(alert: &Alert, priority: u8, message_id: Option<&str>) -> String {
    let mut entry = format!("PRIORITY={priority}\nSYSLOG_IDENTIFIER=nexus-alert\nNEXUS_JOB=alert\n");
    if let Some(id) = message_id {
        entry.push_str(&format!("MESSAGE_ID={id}\n"));
    }
    if let Some(unit) = &alert.unit {
        entry.push_str(&format!("NEXUS_UNIT={unit}\n"));
    }
    entry.push_str(&format!("MESSAGE={}\n", printable(&alert.subject)));
    entry
}

fn send(entry: &str) -> Result<()> {
    let doing = || format!("writing to the journal at {SOCKET}");
    let socket = UnixDatagram::unbound().or_fail_io(doing)?;
    socket.send_to(entry.as_bytes(), SOCKET).or_fail_io(doing).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_one_field_a_line_whatever_the_subject() {
        let mut alert = Alert::test();
        alert.subject = "a\nPRIORITY=7".to_owned();
        assert_eq!(
            entry(&alert, EMERGENCY, Some("id")),
            "PRIORITY=0\nSYSLOG_IDENTIFIER=nexus-alert\nNEXUS_JOB=alert\nMESSAGE_ID=id\nMESSAGE=a\\nPRIORITY=7\n"
        );
    }
}
