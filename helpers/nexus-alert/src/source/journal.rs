//! The last lines of a unit's journal, read through `journalctl`, secrets masked.

use std::process::{Command, Stdio};

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_cli::text::{printable, shortened};
use serde::Deserialize;
use serde_json::Value;

use crate::mask::Mask;
use crate::unit::UnitName;

/// Lines are cut after this many characters.
const LONGEST: usize = 500;

/// Identifiers are cut after this many characters.
const LONGEST_NAME: usize = 64;

/// One entry as `journalctl --output=json` writes it (systemd.journal-fields(7)).
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    usec: String,
    #[serde(rename = "SYSLOG_IDENTIFIER")]
    identifier: Option<Value>,
    /// A string; an array of bytes if it is not UTF-8; null if it is too long for journalctl.
    #[serde(rename = "MESSAGE")]
    message: Option<Value>,
}

/// Returns the last `count` lines of `unit`, including those of systemd about it. Selects by unit and not by invocation:
/// journald does not know the invocation of a process that exited before its line was read.
///
/// # Errors
/// Unavailable (69) when journalctl fails.
pub(super) fn last_lines(unit: &UnitName, count: u16) -> Result<Vec<String>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let doing = || format!("reading the journal of {unit}");
    let output = Command::new("journalctl")
        .args(["--quiet", "--no-pager", "--output=json", "--output-fields=MESSAGE,SYSLOG_IDENTIFIER"])
        .arg(format!("--lines={count}"))
        .arg(format!("--unit={unit}"))
        .stdin(Stdio::null())
        .output()
        .or_fail_io(doing)?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::new(Exit::Unavailable, doing()).because(why));
    }
    shown(&String::from_utf8_lossy(&output.stdout)).or_fail(Exit::Software, doing)
}

/// Formats entries, one JSON object a line, for an alert. Returns as many of their last lines as there are entries.
fn shown(entries: &str) -> std::result::Result<Vec<String>, serde_json::Error> {
    let mut mask = Mask::default();
    let mut lines = Vec::new();
    let mut count = 0;
    for entry in entries.lines() {
        let entry: Entry = serde_json::from_str(entry)?;
        count += 1;
        // Any program chooses its identifier freely.
        let identifier: String = printable(&text(entry.identifier)).chars().take(LONGEST_NAME).collect();
        let head = format!("{} {identifier}: ", time_of(&entry.usec));
        for line in text(entry.message).lines() {
            let line = printable(&mask.line(line));
            lines.push(format!("{head}{}", shortened(&line, LONGEST)));
        }
    }
    Ok(lines.split_off(lines.len().saturating_sub(count)))
}

/// Formats a time in UTC: `03:00:12`.
fn time_of(usec: &str) -> String {
    let at = usec.parse().ok().and_then(|usec| Timestamp::from_microsecond(usec).ok());
    at.map_or_else(|| "-".to_owned(), |at| at.strftime("%H:%M:%S").to_string())
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::String(text)) => text,
        Some(Value::Array(bytes)) => {
            let byte = |value: Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
            // A field that occurs several times is an array of strings.
            if let Some(Value::String(first)) = bytes.first() {
                return first.clone();
            }
            String::from_utf8_lossy(&bytes.into_iter().filter_map(byte).collect::<Vec<_>>()).into_owned()
        }
        _ => "(too long to show)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_every_form_become_lines() {
        let entries = r#"{"__REALTIME_TIMESTAMP":"1700000000000000","SYSLOG_IDENTIFIER":"a","MESSAGE":"PASSWORD=hunter2 x"}
{"__REALTIME_TIMESTAMP":"1700000001000000","SYSLOG_IDENTIFIER":"b","MESSAGE":[255,104,105]}
{"__REALTIME_TIMESTAMP":"1700000002000000","MESSAGE":null}
{"__REALTIME_TIMESTAMP":"1700000003000000","SYSLOG_IDENTIFIER":["c","c"],"MESSAGE":"\u001b[2Jx"}"#;
        assert_eq!(
            shown(entries).unwrap(),
            [
                "22:13:20 a: PASSWORD=[masked] x",
                "22:13:21 b: \u{fffd}hi",
                "22:13:22 (too long to show): (too long to show)",
                "22:13:23 c: \\u{1b}[2Jx",
            ]
        );
    }

    #[test]
    fn a_long_entry_is_cut() {
        let message = format!("{}\\n{}", "x\\n".repeat(100), "word ".repeat(1000));
        let entry =
            format!(r#"{{"__REALTIME_TIMESTAMP":"0","SYSLOG_IDENTIFIER":"a","MESSAGE":"{message}"}}"#);
        let lines = shown(&entry).unwrap();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].chars().count() < LONGEST + 30 && lines[0].ends_with('…'));
    }
}
