//! Whether programs can store, by the figures of nexus-api, which counts its replies. A trigger, a missing privilege or a
//! full disk can fail every store while everything else works.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nexus_cli::credentials;
use secrecy::{ExposeSecret, SecretString};

use crate::context::{Check, Context};
use crate::finding::Finding;
use crate::report::Report;

/// For each read and write.
const LIMIT: Duration = Duration::from_secs(5);

/// The most bytes to read of the figures, which have some 20 KiB.
const LONGEST: u64 = 1 << 20;

/// After so long without another store, the last results mean nothing any more.
const OLD: Duration = Duration::from_secs(3600);

/// The figure: how many stores have failed since the last one that succeeded.
const FIGURE: &str = "nexus_api_failed_stores ";

/// Kept between checks: the figure, and when it last grew.
#[derive(Debug, Default)]
pub(crate) struct Api {
    failed: Option<(u64, Instant)>,
}

impl Check for Api {
    fn check(&mut self, ctx: &Context) -> Report {
        match ask(&ctx.args.api_socket) {
            Ok(Some(failed)) => Report::only(self.judge(failed, Instant::now())),
            // The check of systemd reports a socket without a listener, and a busy API answers the next time.
            Ok(None) => Report::default(),
            Err(error) => Report::only(Finding::unknown(
                "stores",
                format!("nexus-api does not report its failed stores: {error}."),
                "See: systemctl status nexus-api.socket nexus-api",
            )),
        }
    }
}

impl Api {
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
            format!("Programs cannot store: {failed} requests have failed since the last one that succeeded."),
            "See why: journalctl -u nexus-api -n 20; a trigger, a missing privilege or a full disk may be the cause",
        )
        // A restarting server refuses for a moment.
        .patient(2)
    }
}

/// Reads the figures over a short connection; `None` if nothing listens or the reply has no figure.
fn ask(socket: &Path) -> std::io::Result<Option<u64>> {
    let Ok(mut stream) = UnixStream::connect(socket) else { return Ok(None) };
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let token = token().map(|token| format!("Authorization: Bearer {}\r\n", token.expose_secret()));
    let token = token.unwrap_or_default();
    stream.write_all(
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{token}Connection: close\r\n\r\n").as_bytes(),
    )?;
    let mut lines = BufReader::new(stream.take(LONGEST));
    let mut status = String::new();
    lines.read_line(&mut status)?;
    if !status.starts_with("HTTP/1.1 200 ") {
        return Ok(None);
    }
    for line in lines.lines() {
        let line = line?;
        if let Some(number) = line.strip_prefix(FIGURE) {
            return Ok(number.trim().parse().ok());
        }
    }
    Ok(None)
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
}
