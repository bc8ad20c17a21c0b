//! Whether nexus-api answers, and whether programs can store, according to its metrics: it counts its replies. A trigger, a
//! missing privilege or a full disk can fail every request to store while everything else works.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nexus_cli::credentials;
use nexus_cli::text::counted;
use secrecy::{ExposeSecret, SecretString};

use crate::context::{Check, Context};
use crate::finding::Finding;
use crate::report::Report;

/// The timeout of each read and write.
const LIMIT: Duration = Duration::from_secs(5);

/// The most bytes to read of the metrics, which have some 20 KiB.
const LONGEST: u64 = 1 << 20;

/// After this time without another request to store, the last result is out of date.
const OLD: Duration = Duration::from_secs(3600);

/// The metric: how many requests to store have failed since the last one that succeeded.
const FAILED_STORES: &str = "nexus_api_failed_stores ";

/// The metric: how many connections nexus-api has turned away, over any socket. The unit's sandbox has no network, so the check
/// cannot test the TCP port itself.
const TURNED_AWAY: &str = "nexus_api_turned_away_total ";

/// The state between two checks: the failed requests to store and when their number last grew, and the connections turned away.
#[derive(Debug, Default)]
pub(crate) struct Api {
    failed: Option<(u64, Instant)>,
    turned_away: Option<u64>,
}

/// The reply of nexus-api.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    /// Its metrics.
    Metrics { failed_stores: Option<u64>, turned_away: Option<u64> },
    /// A status other than 200.
    Refused(String),
}

impl Check for Api {
    fn check(&mut self, ctx: &Context) -> Report {
        match ask(&ctx.args.api_socket) {
            Ok(Some(reply)) => self.judge_reply(&reply, Instant::now()),
            // The check of systemd reports a socket without a listener.
            Ok(None) => Report::default(),
            Err(error) => Report::only(Finding::unknown(
                "stores",
                format!("nexus-api does not report how many requests to store have failed: {error}"),
                "See: systemctl status nexus-api.socket nexus-api",
            )),
        }
    }
}

impl Api {
    fn judge_reply(&mut self, reply: &Reply, now: Instant) -> Report {
        let mut report = Report::default();
        match reply {
            Reply::Refused(status) => report.found(
                Finding::critical(
                    "api",
                    format!("nexus-api refuses requests: {status}."),
                    "See why: journalctl -u nexus-api -n 20; see which programs hold connections: sudo ss -tpn 'sport = :8003 or \
                     dport = :8003'",
                )
                // A busy API answers the next time.
                .patient(2),
            ),
            Reply::Metrics { failed_stores, turned_away } => {
                report.found(self.judge_turned_away(turned_away.unwrap_or_default()));
                if let Some(failed) = *failed_stores {
                    report.found(self.judge(failed, now));
                }
            }
        }
        report
    }

    fn judge_turned_away(&mut self, count: u64) -> Finding {
        // After a restart it counts from 0.
        let more = self.turned_away.and_then(|before| count.checked_sub(before)).unwrap_or_default();
        self.turned_away = Some(count);
        if more == 0 {
            return Finding::ok("api", "nexus-api answers.");
        }
        Finding::warning(
            "api",
            format!(
                "nexus-api has turned away {} since the last check, because all its connections were in use.",
                counted(more, "connection")
            ),
            "See which programs hold connections: sudo ss -tpn 'sport = :8003 or dport = :8003'",
        )
    }

    fn judge(&mut self, failed: u64, now: Instant) -> Finding {
        let since = match self.failed {
            Some((before, at)) if failed <= before => at,
            _ => now,
        };
        self.failed = Some((failed, since));
        if failed == 0 || now.duration_since(since) > OLD {
            return Finding::ok("stores", "Programs can store episodes.");
        }
        Finding::critical(
            "stores",
            format!("Programs cannot store: {} failed after the last one that succeeded.", counted(failed, "request")),
            "See why: journalctl -u nexus-api -n 20; a trigger, a missing privilege or a full disk may be the cause",
        )
        // A restarting server refuses for a moment.
        .patient(2)
    }
}

/// Reads the metrics over a short connection; `None` if nothing listens.
fn ask(socket: &Path) -> std::io::Result<Option<Reply>> {
    let Ok(mut stream) = UnixStream::connect(socket) else { return Ok(None) };
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let token = token().map(|token| format!("Authorization: Bearer {}\r\n", token.expose_secret()));
    let token = token.unwrap_or_default();
    stream.write_all(
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{token}Connection: close\r\n\r\n").as_bytes(),
    )?;
    parse(BufReader::new(stream.take(LONGEST))).map(Some)
}

fn parse(mut reply: impl BufRead) -> std::io::Result<Reply> {
    let mut status = String::new();
    reply.read_line(&mut status)?;
    if !status.starts_with("HTTP/1.1 200 ") {
        return Ok(Reply::Refused(status.trim().trim_start_matches("HTTP/1.1 ").to_owned()));
    }
    let (mut failed_stores, mut turned_away) = (None, None);
    for line in reply.lines() {
        let line = line?;
        let number = |metric| line.strip_prefix(metric).and_then(|number: &str| number.trim().parse().ok());
        failed_stores = failed_stores.or_else(|| number(FAILED_STORES));
        turned_away = turned_away.or_else(|| number(TURNED_AWAY));
    }
    Ok(Reply::Metrics { failed_stores, turned_away })
}

/// The API's token, if one is set. Without the file the unit provides "none" (SetCredential=).
fn token() -> Option<SecretString> {
    let is_there = credentials::path_of("api_token").exists();
    let token = is_there.then(|| credentials::read("api_token")).transpose();
    token.ok().flatten().filter(|token| token.expose_secret() != "none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    fn failing_stores_are_critical_until_one_succeeds_or_an_hour_passes() {
        let (mut api, begun) = (Api::default(), Instant::now());
        let mut level = |failed, seconds| api.judge(failed, begun + Duration::from_secs(seconds)).level;
        assert_eq!(level(0, 0), FindingLevel::Ok);
        assert_eq!(
            (level(1, 30), level(1, 60), level(2, 90)),
            (FindingLevel::Critical, FindingLevel::Critical, FindingLevel::Critical)
        );
        assert_eq!(level(0, 120), FindingLevel::Ok);
        assert_eq!(
            (level(1, 150), level(1, 150 + 3600), level(1, 151 + 3600)),
            (FindingLevel::Critical, FindingLevel::Critical, FindingLevel::Ok)
        );
        assert_eq!(level(2, 4000), FindingLevel::Critical);
    }

    #[test]
    fn a_refusal_is_critical_and_not_nothing() {
        let reply = parse(&b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n{}"[..]).unwrap();
        assert_eq!(reply, Reply::Refused("503 Service Unavailable".to_owned()));
        let report = Api::default().judge_reply(&reply, Instant::now());
        let found: Vec<_> = report.findings.iter().map(|found| (found.id.as_str(), found.level)).collect();
        assert_eq!(found, [("api", FindingLevel::Critical)]);
    }

    #[test]
    fn connections_turned_away_are_a_warning_until_there_are_no_more() {
        let mut api = Api::default();
        let mut level = |count: u64| {
            let text = format!("HTTP/1.1 200 OK\r\n\r\n{FAILED_STORES}0\n{TURNED_AWAY}{count}\n# EOF\n");
            let report = api.judge_reply(&parse(text.as_bytes()).unwrap(), Instant::now());
            assert_eq!(report.findings.len(), 2);
            report.findings[0].level
        };
        assert_eq!(
            [level(7), level(8), level(8), level(0)],
            [FindingLevel::Ok, FindingLevel::Warning, FindingLevel::Ok, FindingLevel::Ok]
        );
    }
}
