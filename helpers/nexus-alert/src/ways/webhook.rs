//! The webhook: one POST to a URL that is itself a secret, so that no error, line or argument may show it.

use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_problems::Level;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error};

use crate::alert::Alert;

/// The credential with the URL.
const CREDENTIAL: &str = "alert_webhook";

/// How the webhook is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The whole alert as one JSON object.
    Json,
    /// ntfy.sh: the text, with title, priority and tag in headers.
    Ntfy,
    /// healthchecks.io: URL/fail when something fails, URL when all is well again.
    Healthchecks,
}

/// What is posted where.
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
/// once more without the journal's lines. `patience` limits one whole post: name, connection, request, reply.
///
/// # Errors
/// Settings (78) without a URL, CannotCreate (73) when it is too long even so, Unavailable (69) when the server refuses it
/// for another reason.
pub(crate) fn send(format: Format, alert: &Alert, patience: Duration) -> Result<()> {
    let url = url()?;
    match send_once(&post(format, &url, alert)?, patience) {
        Err(failure) if failure.exit() == Exit::CannotCreate => {
            send_once(&post(format, &url, &alert.without_lines())?, patience)
        }
        other => other,
    }
}

fn send_once(post: &Post, patience: Duration) -> Result<()> {
    let mut request = agent(patience).post(&post.url);
    for (name, value) in &post.headers {
        request = request.header(*name, value);
    }
    match request.send(&post.body) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(refused(answer.status().as_u16(), post.body.len())),
        Err(error) => Err(failed(Exit::Unavailable, why(&error, patience))),
    }
}

fn failed(exit: Exit, why: String) -> Failure {
    Failure::new(exit, "posting to the webhook").because(why)
}

/// What any other status means, and what to do about it.
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

/// The URL, from the credential.
fn url() -> Result<String> {
    let path = credentials::path_of(CREDENTIAL);
    let doing = || format!("reading the webhook's URL in {}", path.display());
    let unset = |why: &'static str| {
        Failure::new(Exit::Settings, doing())
            .because(why)
            .advise("Put the URL into /etc/nexus/credentials/alert_webhook, for root alone, or empty NEXUS_ALERT_WEBHOOK_FORMAT")
    };
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(unset("it does not exist")),
        other => other.or_fail_io(doing)?,
    };
    let url = text.trim();
    match url {
        // "none" is what the unit has where there is no file (SetCredential=).
        "" | "none" => Err(unset("there is none")),
        _ if !url.starts_with("https://") && !url.starts_with("http://") => {
            Err(unset("it does not begin with https:// or http://"))
        }
        _ if url.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Err(unset("it is more than one URL"))
        }
        _ => Ok(url.to_owned()),
    }
}

fn agent(patience: Duration) -> Agent {
    let tls = TlsConfig::builder()
        // What this machine trusts, so that a server of one's own with a certificate of one's own works.
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(patience))
        // A redirected POST loses its body: that is to be said, not followed.
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
        (true, _) => "warning",
        _ => "white_check_mark",
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
                ("Title", alert.ascii_subject()),
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

/// The URL for a failure, for an end, and for an end while something else still lasts, which is only written down there
/// (<https://healthchecks.io/docs/http_api/>): one check stands for all problems.
fn healthchecks(url: &str, is_bad: bool, others_last: bool) -> String {
    let url = url.trim_end_matches('/');
    match (is_bad, others_last) {
        (true, _) => format!("{url}/fail"),
        (false, true) => format!("{url}/log"),
        (false, false) => url.to_owned(),
    }
}

/// The client's error in words of its own: some of its own words quote the URL.
fn why(error: &Error, patience: Duration) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        Error::Timeout(_) => format!("no answer within {} s", patience.as_secs()),
        Error::HostNotFound => "its host is not known (is the network up?)".to_owned(),
        Error::Rustls(error) => error.to_string(),
        Error::Tls(what) => (*what).to_owned(),
        Error::Protocol(_) => "its answer is no HTTP".to_owned(),
        Error::BadUri(_) | Error::Http(_) => "its URL is not valid".to_owned(),
        _ => "the connection failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::facts::Facts;
    use crate::problem::{Kind, Problem};

    fn alert(kind: Kind) -> Alert {
        let about = "nexus-backup.service".parse().unwrap();
        Alert::of(&Problem::begins(about, Facts::default(), &[], Timestamp::UNIX_EPOCH), kind, 1, 0)
    }

    #[test]
    fn healthchecks_hears_a_failure_and_its_end_at_its_two_urls() {
        let url = |kind| post(Format::Healthchecks, "https://hc/x/", &alert(kind)).unwrap().url;
        assert_eq!(url(Kind::Failed), "https://hc/x/fail");
        assert_eq!(url(Kind::Still), "https://hc/x/fail");
        assert_eq!(url(Kind::Over), "https://hc/x");
        assert_eq!(url(Kind::Test), "https://hc/x");
    }

    #[test]
    fn healthchecks_does_not_hear_that_all_is_well_while_something_else_lasts() {
        let mut alert = alert(Kind::Over);
        alert.others = 1;
        assert_eq!(post(Format::Healthchecks, "https://hc/x", &alert).unwrap().url, "https://hc/x/log");
    }

    #[test]
    fn ntfy_has_its_headers_and_the_text() {
        let post = post(Format::Ntfy, "https://n/t", &alert(Kind::Failed)).unwrap();
        assert!(post.headers.contains(&("Priority", "high".to_owned())));
        assert!(
            post.headers
                .iter()
                .any(|(name, value)| *name == "Title" && value.starts_with("NEXUS: nexus-backup"))
        );
        assert!(post.body.contains("has failed"));
    }

    #[test]
    fn only_an_answer_that_is_about_the_url_says_so() {
        let said = |status| refused(status, 5000).to_string();
        assert!(said(404).contains("Check the URL") && said(301).contains("Check the URL"));
        for status in [413, 429, 500, 503] {
            assert!(!said(status).contains("URL"), "{}", said(status));
        }
        assert!(said(413).contains("5000 bytes"));
        assert_eq!((refused(413, 0).exit(), refused(404, 0).exit()), (Exit::CannotCreate, Exit::Unavailable));
    }

    #[test]
    fn json_is_the_alert() {
        let post = post(Format::Json, "https://j", &alert(Kind::Over)).unwrap();
        let object: serde_json::Value = serde_json::from_str(&post.body).unwrap();
        assert_eq!((&object["kind"], &object["unit"]), (&"over".into(), &"nexus-backup.service".into()));
    }

    #[test]
    fn no_error_quotes_the_url() {
        let patience = Duration::from_secs(1);
        let error = agent(patience).post("https://[secret-topic/x").send("x").unwrap_err();
        assert!(!why(&error, patience).contains("secret"), "{}", why(&error, patience));
    }
}
