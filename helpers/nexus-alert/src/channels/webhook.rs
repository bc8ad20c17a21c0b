//! The webhook: one POST to a URL that is itself a secret, so no error, log line or argument shows it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_problems::Level;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error};

use crate::alert::Alert;

/// The name of the credential that holds the URL.
const CREDENTIAL: &str = "alert_webhook";

/// The format of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The whole alert as one JSON object
    Json,
    /// ntfy.sh: the text, with title, priority and tag in headers
    Ntfy,
    /// healthchecks.io: URL/fail when something fails, URL when everything is well again
    Healthchecks,
}

/// A request.
#[derive(Debug, PartialEq, Eq)]
struct Post {
    url: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// Bytes that ntfy accepts as a message. If it does not keep attachments it refuses a longer one
/// (<https://docs.ntfy.sh/config/>, `message-size-limit`).
const NTFY: usize = 4096;

/// Bytes that healthchecks.io keeps of a ping's body (<https://healthchecks.io/docs/self_hosted_configuration/>,
/// `PING_BODY_LIMIT`); it ignores the rest, which would be the newest lines.
const HEALTHCHECKS: usize = 10_000;

/// 413 Content Too Large.
const TOO_LARGE: u16 = 413;

/// Posts `alert`; a status of 200 to 299 means that the server accepted it. If it is too long for the server, posts it
/// once more without the journal's lines. `timeout` limits one whole request: name, connection, request, reply.
///
/// # Errors
/// Settings (78) without a URL, CannotCreate (73) when it is still too long, Unavailable (69) when the server refuses it for
/// another reason.
pub(crate) fn send(format: Format, alert: &Alert, timeout: Duration) -> Result<()> {
    let url = url()?;
    match send_once(&post(format, &url, alert)?, timeout) {
        Err(failure) if failure.exit() == Exit::CannotCreate => {
            send_once(&post(format, &url, &alert.without_lines())?, timeout)
        }
        other => other,
    }
}

fn send_once(post: &Post, timeout: Duration) -> Result<()> {
    let mut request = agent(timeout).post(&post.url);
    for (name, value) in &post.headers {
        request = request.header(*name, value);
    }
    match request.send(&post.body) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(refused(answer.status().as_u16(), post.body.len())),
        Err(error) => Err(failed(Exit::Unavailable, why(&error, timeout))),
    }
}

fn failed(exit: Exit, why: String) -> Failure {
    Failure::new(exit, "posting to the webhook").because(why)
}

/// Returns the error for a status other than success.
fn refused(status: u16, bytes: usize) -> Failure {
    let answered = format!("it answered {status}");
    match status {
        TOO_LARGE => {
            failed(Exit::CannotCreate, format!("{answered}: a message of {bytes} bytes is too long for it"))
                .advise("Raise the server's limit, or use another server")
        }
        429 => failed(Exit::Unavailable, answered).advise("The server accepts no more messages for now"),
        500..=599 => failed(Exit::Unavailable, answered).advise("The cause is on the server"),
        _ => failed(Exit::Unavailable, answered)
            .advise("Check the URL in /etc/nexus/credentials/alert_webhook"),
    }
}

/// Reads the URL from the credential.
fn url() -> Result<String> {
    let path = credentials::path_of(CREDENTIAL);
    let doing = || format!("reading the webhook's URL in {}", path.display());
    let unset = |why: &'static str| {
        Failure::new(Exit::Settings, doing())
            .because(why)
            .advise("Write the URL into /etc/nexus/credentials/alert_webhook, readable by root only, or empty NEXUS_ALERT_WEBHOOK_FORMAT")
    };
    let text = fs::read_to_string(&path).if_there(doing)?.ok_or_else(|| unset("it does not exist"))?;
    let url = text.trim();
    match url {
        // Without the file the unit provides "none" (SetCredential=).
        "" | "none" => Err(unset("it holds no URL")),
        _ if !url.starts_with("https://") && !url.starts_with("http://") => {
            Err(unset("it does not begin with https:// or http://"))
        }
        _ if url.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Err(unset("it is more than one URL"))
        }
        _ => Ok(url.to_owned()),
    }
}

fn agent(timeout: Duration) -> Agent {
    let tls = TlsConfig::builder()
        // The certificates that this machine trusts, so that the owner's own server works.
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(timeout))
        // A redirected POST loses its body, so a redirect is an error.
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("nexus-alert/", env!("CARGO_PKG_VERSION")))
        .build();
    config.new_agent()
}

fn post(format: Format, url: &str, alert: &Alert) -> Result<Post> {
    let text = |name, value: &str| (name, value.to_owned());
    let is_bad = alert.is_bad();
    let is_urgent = is_bad && alert.level != Some(Level::Warning);
    let tag = match (is_bad, is_urgent) {
        (_, true) => "rotating_light",
        (true, false) => "warning",
        (false, false) => "white_check_mark",
    };
    let plain = text("Content-Type", "text/plain; charset=utf-8");
    Ok(match format {
        Format::Json => Post {
            url: url.to_owned(),
            headers: vec![text("Content-Type", "application/json")],
            body: serde_json::to_string(alert).or_fail(Exit::Software, || "writing JSON")?,
        },
        Format::Ntfy => Post {
            url: url.to_owned(),
            headers: vec![
                plain,
                ("Title", alert.ascii_title()),
                text("Priority", if is_urgent { "high" } else { "default" }),
                text("Tags", tag),
            ],
            body: alert.text_within(NTFY),
        },
        Format::Healthchecks => Post {
            url: healthchecks(url, is_bad, alert.others > 0),
            headers: vec![plain],
            body: alert.text_within(HEALTHCHECKS),
        },
    })
}

/// Returns the URL for a failure or for an end. One check stands for all incidents, so an end while others last is only
/// logged there (<https://healthchecks.io/docs/http_api/>).
fn healthchecks(url: &str, is_bad: bool, others_last: bool) -> String {
    let url = url.trim_end_matches('/');
    match (is_bad, others_last) {
        (true, _) => format!("{url}/fail"),
        (false, true) => format!("{url}/log"),
        (false, false) => url.to_owned(),
    }
}

/// Describes the client's error without its own text, which may quote the URL.
fn why(error: &Error, timeout: Duration) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        Error::Timeout(_) => format!("no answer within {} s", timeout.as_secs()),
        Error::HostNotFound => "its host name cannot be resolved (is the network up?)".to_owned(),
        Error::Rustls(error) => error.to_string(),
        Error::Tls(what) => (*what).to_owned(),
        Error::Protocol(_) => "its reply is not HTTP".to_owned(),
        Error::BadUri(_) | Error::Http(_) => "its URL is not valid".to_owned(),
        _ => "the connection failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::details::Details;
    use crate::incident::{AlertKind, Incident};

    fn alert(kind: AlertKind) -> Alert {
        let subject = "nexus-backup.service".parse().unwrap();
        Alert::of(&Incident::open(subject, Details::default(), &[], Timestamp::UNIX_EPOCH), kind, 1, 0)
    }

    #[test]
    fn healthchecks_has_one_url_for_a_failure_and_one_for_the_end() {
        let url = |kind| post(Format::Healthchecks, "https://hc/x/", &alert(kind)).unwrap().url;
        assert_eq!(url(AlertKind::Failed), "https://hc/x/fail");
        assert_eq!(url(AlertKind::Reminder), "https://hc/x/fail");
        assert_eq!(url(AlertKind::Resolved), "https://hc/x");
        assert_eq!(url(AlertKind::Test), "https://hc/x");
    }

    #[test]
    fn healthchecks_stays_down_while_another_incident_lasts() {
        let mut alert = alert(AlertKind::Resolved);
        alert.others = 1;
        assert_eq!(post(Format::Healthchecks, "https://hc/x", &alert).unwrap().url, "https://hc/x/log");
    }

    #[test]
    fn ntfy_gets_headers_and_the_text() {
        let post = post(Format::Ntfy, "https://n/t", &alert(AlertKind::Failed)).unwrap();
        assert!(post.headers.contains(&("Priority", "high".to_owned())));
        assert!(
            post.headers
                .iter()
                .any(|(name, value)| *name == "Title" && value.starts_with("NEXUS: nexus-backup"))
        );
        assert!(post.body.contains("has failed"));
    }

    #[test]
    fn only_an_error_about_the_url_mentions_it() {
        let said = |status| refused(status, 5000).to_string();
        assert!(said(404).contains("Check the URL") && said(301).contains("Check the URL"));
        for status in [413, 429, 500, 503] {
            assert!(!said(status).contains("URL"), "{}", said(status));
        }
        assert!(said(413).contains("5000 bytes"));
        assert_eq!((refused(413, 0).exit(), refused(404, 0).exit()), (Exit::CannotCreate, Exit::Unavailable));
    }

    #[test]
    fn json_is_the_whole_alert() {
        let post = post(Format::Json, "https://j", &alert(AlertKind::Resolved)).unwrap();
        let object: serde_json::Value = serde_json::from_str(&post.body).unwrap();
        assert_eq!((&object["kind"], &object["unit"]), (&"over".into(), &"nexus-backup.service".into()));
    }

    #[test]
    fn no_error_quotes_the_url() {
        let timeout = Duration::from_secs(1);
        let error = agent(timeout).post("https://[secret-topic/x").send("x").unwrap_err();
        assert!(!why(&error, timeout).contains("secret"), "{}", why(&error, timeout));
    }
}
