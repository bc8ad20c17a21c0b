//! Whether alerts arrive: once a month nexus-alert sends a test through every configured channel, and notes the result. Without
//! a channel, the owner sees a failure only in the journal.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use nexus_fs::files;
use serde::Deserialize;

use crate::context::{Check, Context};
use crate::finding::Finding;
use crate::report::Report;

/// The oldest test that counts. nexus-alert sends one every month.
const OLDEST: SignedDuration = SignedDuration::from_hours(24 * 35);

const ADVICE: &str = "Send a test alert now: systemctl start nexus-alert-test; see what it reports: journalctl -u nexus-alert-test";

const SET_ONE: &str = "Set one of NEXUS_ALERT_MAIL, NEXUS_ALERT_WEBHOOK_FORMAT, NEXUS_ALERT_COMMAND or NEXUS_ALERT_WALL in \
                       /etc/nexus/nexus.env (man nexus-alert), then: systemctl restart nexus-health; nexus-alert --test";

/// The outcome that nexus-alert has recorded.
#[derive(Deserialize)]
struct TestOutcome {
    version: u32,
    at: Timestamp,
    /// The error by channel; `None` if the channel accepted the test.
    #[serde(rename = "ways")]
    channels: BTreeMap<String, Option<String>>,
}

/// Checks the outcome of the last test alert.
pub(crate) struct Alerts;

impl Check for Alerts {
    fn check(&mut self, ctx: &Context) -> Report {
        Report::only(if ctx.args.alert_channels.is_one_set() {
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
        // No channel is configured, or no test was due yet.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::ok(id, "No test alert has been sent yet.");
        }
        Err(error) => {
            let sentence =
                format!("The result of the last test alert cannot be read from {}: {error}", path.display());
            return Finding::unknown(id, sentence, ADVICE);
        }
        Ok(text) => text,
    };
    let Ok(outcome @ TestOutcome { version: 1, .. }) = serde_json::from_str::<TestOutcome>(&text) else {
        let sentence = format!("The result of the last test alert, {}, is malformed.", path.display());
        return Finding::unknown(id, sentence, ADVICE);
    };
    if outcome.channels.is_empty() {
        return Finding::ok(id, "No alert channel was configured at the last test.");
    }
    let failed: Vec<String> = outcome
        .channels
        .iter()
        .filter_map(|(channel, why)| Some(format!("by {channel}: {}", why.as_ref()?)))
        .collect();
    if !failed.is_empty() {
        return Finding::warning(id, format!("The test alert did not arrive {}", failed.join("; ")), ADVICE);
    }
    if now.duration_since(outcome.at) > OLDEST {
        return Finding::warning(id, "The last test alert was more than 35 days ago.", ADVICE);
    }
    let channels: Vec<&str> = outcome.channels.keys().map(String::as_str).collect();
    Finding::ok(id, format!("The last test alert arrived by {}.", channels.join(" and ")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;
    use crate::args::Args;
    use crate::level::FindingLevel;

    #[test]
    fn a_channel_is_configured_if_nexus_alert_would_use_it() {
        let is_set = |arguments: &[&str]| {
            let args = Args::parse_from([&["nexus-health"], arguments].concat());
            args.alert_channels.is_one_set()
        };
        assert!(!is_set(&[]) && !is_set(&["--alert-wall", "no"]));
        for (option, value) in [
            ("--alert-mail", "root"),
            ("--alert-webhook-format", "ntfy"),
            ("--alert-command", "/usr/bin/tell"),
            ("--alert-wall", "yes"),
        ] {
            assert!(is_set(&[option, value]), "{option}");
        }
    }

    #[test]
    fn a_test_that_failed_or_is_old_is_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tested.json");
        let now: Timestamp = "2026-11-22T03:00:00Z".parse().unwrap();
        let level = |text: &str| {
            fs::write(&path, text).unwrap();
            judge(&path, now).level
        };
        assert_eq!(judge(&path, now).level, FindingLevel::Ok);
        let outcome = |at: &str, ways: &str| format!(r#"{{"version":1,"at":"{at}","ways":{ways}}}"#);
        assert_eq!(level(&outcome("2026-11-01T00:00:00Z", r#"{"mail":null}"#)), FindingLevel::Ok);
        assert_eq!(level(&outcome("2026-10-01T00:00:00Z", r#"{"mail":null}"#)), FindingLevel::Warning);
        assert_eq!(
            level(&outcome("2026-11-21T00:00:00Z", r#"{"mail":null,"webhook":"refused"}"#)),
            FindingLevel::Warning
        );
        assert_eq!(level(&outcome("2026-01-01T00:00:00Z", "{}")), FindingLevel::Ok);
        assert_eq!(level("{"), FindingLevel::Unknown);
    }
}
