//! Access by other machines: the allow list, the token, the certificate. nexus-health may not read keys, so
//! nexus-remote-note.service writes a note.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nexus_cli::text::counted;
use nexus_fs::files;
use serde::Deserialize;

use crate::args::Args;
use crate::finding::Finding;

/// The oldest note that counts. It is written every hour.
const OLDEST: Duration = Duration::from_secs(3 * 3600);

const DAY: i64 = 86400;

/// The age after which a token should be changed, because it may have leaked unnoticed.
const OLD_TOKEN: i64 = 365 * DAY;

/// Certificates are renewed when a third of their lifetime is left, so a renewal has failed when a sixth is left. For long
/// lifetimes, three weeks are enough.
const PART: i64 = 6;
const MOST: i64 = 21 * DAY;

/// The note that nexus-remote writes.
#[derive(Deserialize)]
struct Note {
    #[serde(rename = "way")]
    method: String,
    allows_everybody: bool,
    token_since: Option<i64>,
    certificate: Option<Validity>,
}

#[derive(Clone, Copy, Deserialize)]
struct Validity {
    from: i64,
    until: i64,
}

fn path_of(args: &Args) -> PathBuf {
    args.run_dir.join("remote.json")
}

fn read(path: &Path) -> std::io::Result<(Note, SystemTime)> {
    let text = files::read_to_string(path)?;
    Ok((serde_json::from_str(&text)?, path.metadata()?.modified()?))
}

/// Returns whether Caddy should run.
pub(in crate::check) fn wants_proxy(args: &Args) -> bool {
    read(&path_of(args)).is_ok_and(|(note, _)| note.method == "caddy")
}

/// Checks the note.
pub(super) fn check(args: &Args) -> Vec<Finding> {
    let path = path_of(args);
    let now = SystemTime::now();
    let advice = "Write the state of the remote access: systemctl start nexus-remote-note; see whether its timer runs: systemctl \
                  status nexus-remote-note.timer";
    let unknown = |what: &str| {
        let sentence = format!("The state of the remote access ({}) {what}", path.display());
        vec![Finding::unknown("remote", sentence, advice)]
    };
    match read(&path) {
        Ok((note, at)) if now.duration_since(at).unwrap_or_default() < OLDEST => {
            judge(&note, now.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs().cast_signed()))
        }
        Ok(_) => unknown("has not been written for hours"),
        // The first note after a boot is due within a minute.
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => unknown(&format!("cannot be read: {error}")),
    }
}

fn judge(note: &Note, now: i64) -> Vec<Finding> {
    if note.method == "off" {
        return vec![Finding::ok("remote", "No other machine has access.")];
    }
    let mut findings = vec![
        Finding::ok("remote", format!("Other machines have access through {}.", note.method)),
        token(note.token_since, now),
    ];
    if note.method == "caddy" {
        findings.push(allow(note.allows_everybody));
        findings.push(certificate(note.certificate, now));
    }
    findings
}

fn allow(is_everybody: bool) -> Finding {
    let id = "remote-allow";
    if is_everybody {
        return Finding::warning(
            id,
            "NEXUS_ALLOW_IPS allows every address: a network with /0 is on the list.",
            "List the allowed addresses in /etc/nexus/nexus.env, then: systemctl restart nexus-proxy",
        );
    }
    Finding::ok(id, "Only addresses in NEXUS_ALLOW_IPS have access.")
}

fn token(since: Option<i64>, now: i64) -> Finding {
    let id = "remote-token";
    let Some(since) = since else {
        return Finding::critical(
            id,
            "There is no token for other machines, so no machine has access.",
            "Make a token: nexus-setup --remote caddy, or nexus-setup --remote tailscale",
        );
    };
    let days = (now - since).max(0).unsigned_abs() / DAY.unsigned_abs();
    let sentence = format!("The token for other machines is {} old.", counted(days, "day"));
    if now - since > OLD_TOKEN {
        return Finding::warning(
            id,
            sentence,
            "Change the token: docs/REMOTE.md says how to do that without an interruption",
        );
    }
    Finding::ok(id, sentence)
}

fn certificate(validity: Option<Validity>, now: i64) -> Finding {
    let id = "remote-certificate";
    let advice = "See: docker logs --tail 20 nexus-proxy; if the certificate is your own, put the new files in /etc/nexus/tls, then: \
                  systemctl reload nexus-proxy";
    let Some(Validity { from, until }) = validity else {
        return Finding::warning(id, "Caddy has no certificate yet.", advice).patient(2);
    };
    let left = until - now;
    if left <= 0 {
        return Finding::critical(
            id,
            "Caddy's certificate has expired: programs that verify it cannot connect.",
            advice,
        );
    }
    let sentence = match left / DAY {
        0 => format!("Caddy's certificate expires in {}.", counted(left.unsigned_abs() / 3600, "hour")),
        days => format!("Caddy's certificate expires in {}.", counted(days.unsigned_abs(), "day")),
    };
    if left < ((until - from) / PART).min(MOST) {
        return Finding::warning(id, sentence, advice);
    }
    Finding::ok(id, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    const NOW: i64 = 1_800_000_000;

    fn levels(note: &str) -> Vec<(String, FindingLevel)> {
        let findings = judge(&serde_json::from_str(note).unwrap(), NOW);
        findings.into_iter().map(|finding| (finding.id, finding.level)).collect()
    }

    fn level(certificate: (i64, i64)) -> FindingLevel {
        let (from, until) = (NOW + certificate.0, NOW + certificate.1);
        super::certificate(Some(Validity { from, until }), NOW).level
    }

    #[test]
    fn without_remote_access_everything_is_ok() {
        let note = r#"{"way":"off","allows_everybody":true,"token_since":null,"certificate":null}"#;
        assert_eq!(levels(note), [("remote".to_owned(), FindingLevel::Ok)]);
    }

    #[test]
    fn an_old_token_and_an_open_allow_list_are_warnings() {
        let old = NOW - 366 * DAY;
        let note =
            format!(r#"{{"way":"caddy","allows_everybody":true,"token_since":{old},"certificate":null}}"#);
        let wanted = ["remote-token", "remote-allow", "remote-certificate"]
            .map(|id| (id.to_owned(), FindingLevel::Warning));
        assert_eq!(levels(&note)[1..], wanted);
        let note = r#"{"way":"tailscale","allows_everybody":false,"token_since":null,"certificate":null}"#;
        assert_eq!(levels(note)[1..], [("remote-token".to_owned(), FindingLevel::Critical)]);
    }

    #[test]
    fn a_certificate_is_a_warning_near_its_end() {
        // Let's Encrypt: 90 days, renewed with 30 left.
        assert_eq!(level((-60 * DAY, 30 * DAY)), FindingLevel::Ok);
        assert_eq!(level((-76 * DAY, 14 * DAY)), FindingLevel::Warning);
        // Caddy's own authority: twelve hours.
        assert_eq!(level((-8 * 3600, 4 * 3600)), FindingLevel::Ok);
        assert_eq!(level((-11 * 3600, 3600)), FindingLevel::Warning);
        // The owner's own, valid for a year.
        assert_eq!(level((-340 * DAY, 25 * DAY)), FindingLevel::Ok);
        assert_eq!(level((-350 * DAY, 15 * DAY)), FindingLevel::Warning);
        assert_eq!(level((-365 * DAY, 0)), FindingLevel::Critical);
    }
}
