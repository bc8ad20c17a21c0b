//! Refuses requests that a web page in the owner's browser can make, because a browser reaches loopback.
//!
//! A page of another site can send requests to 127.0.0.1 (fetch with `no-cors`, forms, images), and by DNS rebinding it can
//! even read the replies: its own name then resolves to 127.0.0.1. Fetch Metadata (W3C) and the Fetch standard's `Origin` tell
//! the first apart,
//! the `Host` header the second. Programs send none of these headers but `Host`, and are not affected.

use axum::http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use crate::problem::Problem;

/// Names that always mean this machine; [`Hosts`] adds those of the owner.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The header that every browser since 2023 sends with each request to loopback.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Types of a body that a page may send to another site without asking it first (Fetch standard, "CORS-safelisted
/// request-header").
const WITHOUT_PREFLIGHT: [&str; 3] =
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"];

/// Headers of every reply: they restrict what a page can do with one that it gets after all.
pub(super) const ANSWER: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// The host names under which clients may use this service over TCP.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    /// Those of loopback, and `names` (`NEXUS_API_HOSTS`).
    pub(super) fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| plain(name.trim())).collect())
    }

    /// Admits a request that a program, or a page of this service itself, can have made.
    ///
    /// # Errors
    /// 403 for another name, another site, or a body that only a page of another site would send.
    pub(super) fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let hosts: Vec<_> = headers.get_all(HOST).iter().collect();
        // HTTP/1.0 may leave it out; no browser does.
        let host = match hosts.as_slice() {
            [] => None,
            [host] => Some(authority(host.as_bytes()).ok_or_else(unknown_host)?),
            _ => return Err(unknown_host()),
        };
        if [host.as_ref(), uri.authority()].into_iter().flatten().any(|asked| !self.has(asked)) {
            return Err(unknown_host());
        }
        let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
        if !site.is_none_or(|site| matches!(site, b"none" | b"same-origin")) {
            return Err(foreign());
        }
        let origins: Vec<_> = headers.get_all(ORIGIN).iter().collect();
        if !origins.iter().all(|origin| is_origin_of(origin, host.as_ref())) {
            return Err(foreign());
        }
        if (site.is_some() || !origins.is_empty()) && is_sent_without_preflight(headers) {
            let message = "A browser must send Content-Type: application/json.";
            return Err(Problem::new(StatusCode::FORBIDDEN, "content_type", message));
        }
        Ok(())
    }

    fn has(&self, asked: &Authority) -> bool {
        let name = plain(asked.host());
        let port = asked.as_str().strip_prefix(asked.host());
        let is_plain = port.is_some_and(|port| {
            port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
        });
        is_plain && (LOOPBACK.contains(&name.as_str()) || self.0.contains(&name))
    }
}

/// In lower case, without the dot that may end a full name.
fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_suffix('.').map(ToOwned::to_owned).unwrap_or(name)
}

fn authority(bytes: &[u8]) -> Option<Authority> {
    Authority::try_from(bytes).ok()
}

/// Whether `origin` is that of a page that came from `host` itself.
fn is_origin_of(origin: &HeaderValue, host: Option<&Authority>) -> bool {
    let origin = origin.as_bytes();
    let place = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    // "null", a file, an extension: from elsewhere.
    place.and_then(authority).is_some_and(|origin| host == Some(&origin))
}

fn is_sent_without_preflight(headers: &HeaderMap) -> bool {
    // There may be a body without a type: a Blob has none.
    let has_body = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING]
        .iter()
        .any(|name| headers.get(name).is_some_and(|value| value.as_bytes() != b"0"));
    match headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default()) {
        None => has_body,
        Some(kind) => {
            let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            WITHOUT_PREFLIGHT.contains(&kind.as_str()) || kind.is_empty()
        }
    }
}

fn unknown_host() -> Problem {
    let message =
        "The header Host must name this machine: 127.0.0.1, localhost, [::1], or a name in NEXUS_API_HOSTS.";
    Problem::new(StatusCode::FORBIDDEN, "host", message)
}

fn foreign() -> Problem {
    let message = "A page of another site may not use this memory.";
    Problem::new(StatusCode::FORBIDDEN, "foreign_origin", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(lines: &[(&str, &str)]) -> Result<(), &'static str> {
        ask_at("/memory/action", lines)
    }

    fn ask_at(uri: &str, lines: &[(&str, &str)]) -> Result<(), &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let hosts = Hosts::new(&["Memory.Example".to_owned(), "192.168.1.5".to_owned()]);
        hosts.admit(&uri.parse().unwrap(), &headers).map_err(|problem| problem.code)
    }

    #[test]
    fn programs_come_in_as_before() {
        assert_eq!(ask(&[]), Ok(()));
        for host in [
            "127.0.0.1",
            "127.0.0.1:8003",
            "localhost:8003",
            "LOCALHOST",
            "localhost.:8003",
            "[::1]:8003",
            "[::1]",
            "memory.example",
            "192.168.1.5:8003",
        ] {
            assert_eq!(ask(&[("host", host)]), Ok(()), "{host}");
        }
        for kind in
            ["application/x-www-form-urlencoded", "text/plain", "application/json", "application/x-ndjson"]
        {
            let lines = [("host", "127.0.0.1:8003"), ("content-type", kind), ("content-length", "2")];
            assert_eq!(ask(&lines), Ok(()), "{kind}");
        }
        assert_eq!(ask_at("http://127.0.0.1:8003/stats", &[("host", "127.0.0.1:8003")]), Ok(()));
    }

    #[test]
    fn another_name_is_refused() {
        for host in [
            "evil.example:8003",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "0.0.0.0:8003",
            "127.0.0.2",
            "a@127.0.0.1",
            "127.0.0.1:x",
            "",
            "::1",
            "2130706433",
            "[::ffff:127.0.0.1]",
        ] {
            assert_eq!(ask(&[("host", host)]), Err("host"), "{host}");
        }
        assert_eq!(ask(&[("host", "127.0.0.1"), ("host", "evil.example")]), Err("host"));
        assert_eq!(ask_at("http://evil.example/stats", &[("host", "127.0.0.1")]), Err("host"));
    }

    #[test]
    fn another_site_is_refused() {
        let host = ("host", "127.0.0.1:8003");
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1",
            "http://127.0.0.1:3000",
            "http://localhost:8003",
            "file://",
            "chrome-extension://abc",
            "http://127.0.0.1:8003.evil.example",
            "",
        ] {
            assert_eq!(ask(&[host, ("origin", origin)]), Err("foreign_origin"), "{origin}");
        }
        for site in ["cross-site", "same-site", "", "None"] {
            assert_eq!(ask(&[host, ("sec-fetch-site", site)]), Err("foreign_origin"), "{site}");
        }
        assert_eq!(ask(&[("origin", "http://127.0.0.1:8003")]), Err("foreign_origin"));
    }

    #[test]
    fn a_page_of_its_own_sends_json() {
        let own = [
            ("host", "127.0.0.1:8003"),
            ("origin", "http://127.0.0.1:8003"),
            ("sec-fetch-site", "same-origin"),
        ];
        let sending = |more: &[(&str, &str)]| {
            let mut lines = own.to_vec();
            lines.extend(more);
            ask(&lines)
        };
        assert_eq!(sending(&[("content-type", "application/json"), ("content-length", "2")]), Ok(()));
        assert_eq!(sending(&[]), Ok(()));
        for kind in [
            "text/plain;charset=UTF-8",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=a",
            "",
        ] {
            assert_eq!(
                sending(&[("content-type", kind), ("content-length", "2")]),
                Err("content_type"),
                "{kind}"
            );
        }
        assert_eq!(sending(&[("content-length", "2")]), Err("content_type"));
        assert_eq!(sending(&[("transfer-encoding", "chunked")]), Err("content_type"));
    }
}
