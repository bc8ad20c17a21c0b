//! Other machines that are let in: who, by which token, with which certificate. nexus-health has no key to look with:
//! nexus-remote-note.service writes down what there is to know.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nexus_fs::files;
use serde::Deserialize;

use crate::args::Args;
use crate::finding::Finding;

/// It is written every hour; an older one says nothing.
const OLDEST: Duration = Duration::from_secs(3 * 3600);

const DAY: i64 = 86400;

/// A token that has been the same for so long may be in more hands than one knows.
const OLD_TOKEN: i64 = 365 * DAY;

/// Certificates are made anew when a third of their time is left; whoever has a sixth left was forgotten. Of those that are good for
/// long, three weeks are enough.
const PART: i64 = 6;
const MOST: i64 = 21 * DAY;

/// What nexus-remote writes.
#[derive(Deserialize)]
struct Note {
    way: String,
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

/// Whether Caddy is to run.
pub(in crate::check) fn wants_proxy(args: &Args) -> bool {
    read(&path_of(args)).is_ok_and(|(note, _)| note.way == "caddy")
}

/// Looks at what was written down.
pub(super) fn look(args: &Args) -> Vec<Finding> {
    let path = path_of(args);
    let now = SystemTime::now();
    let advice =
        "Write it down: systemctl start nexus-remote-note; see: systemctl status nexus-remote-note.timer";
    match read(&path) {
        Ok((note, at)) if now.duration_since(at).unwrap_or_default() < OLDEST => {
            judge(&note, now.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs().cast_signed()))
        }
        Ok(_) => {
            vec![Finding::unknown("remote", format!("{} was not written for hours.", path.display()), advice)]
        }
        // Before the first one of this boot; it is due within a minute.
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => vec![Finding::unknown("remote", format!("{}: {error}.", path.display()), advice)],
    }
}

fn judge(note: &Note, now: i64) -> Vec<Finding> {
    if note.way == "off" {
        return vec![Finding::ok("remote", "No other machine is let in.")];
    }
    let mut findings = vec![
        Finding::ok("remote", format!("Other machines are let in by {}.", note.way)),
        token(note.token_since, now),
    ];
    if note.way == "caddy" {
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
            "NEXUS_ALLOW_IPS lets everybody try: a network with /0 is on the list.",
            "Name who is to come in, in /etc/nexus/nexus.env, then: systemctl restart nexus-proxy",
        );
    }
    Finding::ok(id, "Only who is on the list NEXUS_ALLOW_IPS is let in.")
}

fn token(since: Option<i64>, now: i64) -> Finding {
    let id = "remote-token";
    let Some(since) = since else {
        return Finding::critical(
            id,
            "There is no token for other machines, so none is let in.",
            "Make one: nexus-setup --remote caddy, or tailscale",
        );
    };
    let days = (now - since).max(0) / DAY;
    let sentence = format!("The token for other machines is {days} days old.");
    if now - since > OLD_TOKEN {
        return Finding::warning(id, sentence, "Change it: docs/REMOTE.md says how without anybody waiting");
    }
    Finding::ok(id, sentence)
}

fn certificate(validity: Option<Validity>, now: i64) -> Finding {
    let id = "remote-certificate";
    let advice = "See: docker logs --tail 20 nexus-proxy; files of your own: put new ones in /etc/nexus/tls, then systemctl reload nexus-proxy";
    let Some(Validity { from, until }) = validity else {
        return Finding::warning(id, "Caddy has no certificate yet.", advice).patient(2);
    };
    let left = until - now;
    if left <= 0 {
        return Finding::critical(
            id,
            "Caddy's certificate has ended: nobody who looks at it comes in.",
            advice,
        );
    }
    let sentence = match left / DAY {
        0 => format!("Caddy's certificate is good for {} hours more.", left / 3600),
        days => format!("Caddy's certificate is good for {days} days more."),
    };
    if left < ((until - from) / PART).min(MOST) {
        return Finding::warning(id, sentence, advice);
    }
    Finding::ok(id, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;

    const NOW: i64 = 1_800_000_000;

    fn levels(note: &str) -> Vec<(String, Level)> {
        let findings = judge(&serde_json::from_str(note).unwrap(), NOW);
        findings.into_iter().map(|finding| (finding.id, finding.level)).collect()
    }

    fn level(certificate: (i64, i64)) -> Level {
        let (from, until) = (NOW + certificate.0, NOW + certificate.1);
        super::certificate(Some(Validity { from, until }), NOW).level
    }

    #[test]
    fn what_nobody_can_reach_is_well() {
        let note = r#"{"way":"off","allows_everybody":true,"token_since":null,"certificate":null}"#;
        assert_eq!(levels(note), [("remote".to_owned(), Level::Ok)]);
    }

    #[test]
    fn an_old_token_and_a_list_of_everybody_are_said() {
        let old = NOW - 366 * DAY;
        let note =
            format!(r#"{{"way":"caddy","allows_everybody":true,"token_since":{old},"certificate":null}}"#);
        let wanted =
            ["remote-token", "remote-allow", "remote-certificate"].map(|id| (id.to_owned(), Level::Warning));
        assert_eq!(levels(&note)[1..], wanted);
        let note = r#"{"way":"tailscale","allows_everybody":false,"token_since":null,"certificate":null}"#;
        assert_eq!(levels(note)[1..], [("remote-token".to_owned(), Level::Critical)]);
    }

    #[test]
    fn a_certificate_near_its_end_is_said_by_its_own_measure() {
        // Of Let's Encrypt: 90 days, made anew with 30 left.
        assert_eq!(level((-60 * DAY, 30 * DAY)), Level::Ok);
        assert_eq!(level((-76 * DAY, 14 * DAY)), Level::Warning);
        // Of Caddy's own authority: twelve hours.
        assert_eq!(level((-8 * 3600, 4 * 3600)), Level::Ok);
        assert_eq!(level((-11 * 3600, 3600)), Level::Warning);
        // A person's own, of a year.
        assert_eq!(level((-340 * DAY, 25 * DAY)), Level::Ok);
        assert_eq!(level((-350 * DAY, 15 * DAY)), Level::Warning);
        assert_eq!(level((-365 * DAY, 0)), Level::Critical);
    }
}
