//! Whether alerts arrive: once a month nexus-alert sends a test through every configured channel, and notes the result. Without
//! a channel, the owner sees a failure only in the journal.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use nexus_fs::files;
use serde::Deserialize;

use crate::finding::Finding;
use crate::look::{Check, Ctx, Look};

/// The test is sent every month.
const OLDEST: SignedDuration = SignedDuration::from_hours(24 * 35);

const ADVICE: &str = "Send one now: systemctl start nexus-alert-test; see: journalctl -u nexus-alert-test";

const SET_ONE: &str = "Set one of NEXUS_ALERT_MAIL, NEXUS_ALERT_WEBHOOK_FORMAT, NEXUS_ALERT_COMMAND or NEXUS_ALERT_WALL in \
                       /etc/nexus/nexus.env (man nexus-alert), then: systemctl restart nexus-health; nexus-alert --test";

/// What nexus-alert has noted.
#[derive(Deserialize)]
struct Tested {
    version: u32,
    at: Timestamp,
    /// What went wrong, by way; nothing where it arrived.
    ways: BTreeMap<String, Option<String>>,
}

/// Looks at the note.
pub(crate) struct Alerts;

impl Check for Alerts {
    fn look(&mut self, ctx: &Ctx) -> Look {
        Look::only(if ctx.args.ways.is_one_set() {
            judge(&ctx.args.alert_tested, Timestamp::now())
        } else {
            Finding::warning(
                "alerts",
                "No alert channel is configured: failures appear only in the journal.",
                SET_ONE,
            )
        })
    }
}

fn judge(path: &Path, now: Timestamp) -> Finding {
    let id = "alerts";
    let text = match files::read_to_string(path) {
        // Nothing is set, or it is too early.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::ok(id, "No test alert has been sent yet.");
        }
        Err(error) => return Finding::unknown(id, format!("{}: {error}.", path.display()), ADVICE),
        Ok(text) => text,
    };
    let tested: Tested = match serde_json::from_str(&text) {
        Ok(tested @ Tested { version: 1, .. }) => tested,
        _ => return Finding::unknown(id, format!("{} cannot be understood.", path.display()), ADVICE),
    };
    if tested.ways.is_empty() {
        return Finding::ok(id, "No way to send alerts is set.");
    }
    let failed: Vec<String> =
        tested.ways.iter().filter_map(|(way, why)| Some(format!("by {way}: {}", why.as_ref()?))).collect();
    if !failed.is_empty() {
        return Finding::warning(id, format!("The test alert did not arrive {}", failed.join("; ")), ADVICE);
    }
    if now.duration_since(tested.at) > OLDEST {
        return Finding::warning(id, "The last test alert was more than 35 days ago.", ADVICE);
    }
    let ways: Vec<&str> = tested.ways.keys().map(String::as_str).collect();
    Finding::ok(id, format!("The last test alert arrived by {}.", ways.join(" and ")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;
    use crate::args::Args;
    use crate::finding::Level;

    #[test]
    fn a_way_is_set_where_nexus_alert_would_use_it() {
        let is_set = |arguments: &[&str]| {
            let args = Args::parse_from([&["nexus-health"], arguments].concat());
            args.ways.is_one_set()
        };
        assert!(!is_set(&[]) && !is_set(&["--alert-wall", "no"]));
        for (way, value) in [
            ("--alert-mail", "root"),
            ("--alert-webhook-format", "ntfy"),
            ("--alert-command", "/usr/bin/tell"),
            ("--alert-wall", "yes"),
        ] {
            assert!(is_set(&[way, value]), "{way}");
        }
    }

    #[test]
    fn a_test_that_failed_or_is_old_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tested.json");
        let now: Timestamp = "2026-11-22T03:00:00Z".parse().unwrap();
        let level = |text: &str| {
            fs::write(&path, text).unwrap();
            judge(&path, now).level
        };
        assert_eq!(judge(&path, now).level, Level::Ok);
        let tested = |at: &str, ways: &str| format!(r#"{{"version":1,"at":"{at}","ways":{ways}}}"#);
        assert_eq!(level(&tested("2026-11-01T00:00:00Z", r#"{"mail":null}"#)), Level::Ok);
        assert_eq!(level(&tested("2026-10-01T00:00:00Z", r#"{"mail":null}"#)), Level::Warning);
        assert_eq!(
            level(&tested("2026-11-21T00:00:00Z", r#"{"mail":null,"webhook":"refused"}"#)),
            Level::Warning
        );
        assert_eq!(level(&tested("2026-01-01T00:00:00Z", "{}")), Level::Ok);
        assert_eq!(level("{"), Level::Unknown);
    }
}
