//! Refuses requests that a web page in the owner's browser can make, because a browser reaches loopback.
//!
//! Two kinds of pages are dangerous:
//!
//! - A page of another site can send requests to 127.0.0.1 (fetch with `no-cors`, forms, images). By DNS rebinding, where its
//!   own name resolves to 127.0.0.1, it can even read the replies. Its requests have that name in the `Host` header.
//! - A page that another program served on this port, before NEXUS or while NEXUS was stopped, has the origin of this service.
//!   It stays in a tab, in the browser's cache, or as a service worker, which also reads what the owner opens by hand.
//!
//! Every browser since 2023 sends Fetch Metadata (W3C) or `Origin` (Fetch standard). A request with one of them gets nothing of
//! the memory. Programs send neither, so they are not affected.
//!
//! If NEXUS ever serves a page that uses the memory, that page needs an origin that no earlier program can have had, such as a
//! random name below `localhost` for each process.

use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use crate::error::ApiError;

/// Names that always mean this machine; [`Hosts`] adds the owner's.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The header that every browser since 2023 sends with each request to loopback.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Pages that the owner may open in a browser. They show nothing of the memory.
const OPEN: [&str; 3] = ["/", "/health", "/openapi.json"];

/// Headers of every response. If a web page gets a response nevertheless, they restrict what it can do.
pub(super) const HEADERS: [(HeaderName, HeaderValue); 4] = [
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
    /// Accepts `names` (`NEXUS_API_HOSTS`) besides those of loopback.
    pub(super) fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| normalized(name.trim())).collect())
    }

    /// Admits a program's request to `route`, and a browser's to an open page.
    ///
    /// # Errors
    /// 403 for another host name, another site, or a browser's request to another route.
    pub(super) fn admit(&self, route: &str, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let hosts: Vec<_> = headers.get_all(HOST).iter().collect();
        // HTTP/1.0 allows a request without it; no browser sends one.
        let host = match hosts.as_slice() {
            [] => None,
            [host] => Some(authority(host.as_bytes()).ok_or_else(unknown_host)?),
            _ => return Err(unknown_host()),
        };
        if [host.as_ref(), uri.authority()].into_iter().flatten().any(|asked| !self.has(asked)) {
            return Err(unknown_host());
        }
        let is_browser = headers.contains_key(FETCH_SITE) || headers.contains_key(ORIGIN);
        // No browser sends `Origin` when it opens a page.
        let is_opened = !headers.contains_key(ORIGIN)
            && headers.get_all(FETCH_SITE).iter().all(|site| site == "none" || site == "same-origin");
        if is_browser && !(is_opened && OPEN.contains(&route)) {
            let message = "No web page and no browser may use this memory.";
            return Err(ApiError::new(StatusCode::FORBIDDEN, "foreign_origin", message));
        }
        Ok(())
    }

    fn has(&self, asked: &Authority) -> bool {
        let name = normalized(asked.host());
        let port = asked.as_str().strip_prefix(asked.host());
        let is_plain = port.is_some_and(|port| {
            port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
        });
        is_plain && (LOOPBACK.contains(&name.as_str()) || self.0.contains(&name))
    }
}

/// Returns `name` in lower case, without the dot that may end a full name.
fn normalized(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_suffix('.').map(ToOwned::to_owned).unwrap_or(name)
}

fn authority(bytes: &[u8]) -> Option<Authority> {
    Authority::try_from(bytes).ok()
}

fn unknown_host() -> ApiError {
    let message =
        "The header Host must name this machine: 127.0.0.1, localhost, [::1], or a name in NEXUS_API_HOSTS.";
    ApiError::new(StatusCode::FORBIDDEN, "host", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(lines: &[(&str, &str)]) -> Result<(), &'static str> {
        ask_at("/memory/action", "/memory/action", lines)
    }

    fn ask_at(route: &str, uri: &str, lines: &[(&str, &str)]) -> Result<(), &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let hosts = Hosts::new(&["Memory.Example".to_owned(), "192.168.1.5".to_owned()]);
        hosts.admit(route, &uri.parse().unwrap(), &headers).map_err(|error| error.code)
    }

    #[test]
    fn programs_are_admitted() {
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
        assert_eq!(ask_at("/stats", "http://127.0.0.1:8003/stats", &[("host", "127.0.0.1:8003")]), Ok(()));
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
        assert_eq!(ask_at("/stats", "http://evil.example/stats", &[("host", "127.0.0.1")]), Err("host"));
    }

    #[test]
    fn no_browser_uses_the_memory() {
        let host = ("host", "127.0.0.1:8003");
        for origin in
            ["http://127.0.0.1:8003", "http://evil.example", "null", "file://", "chrome-extension://abc", ""]
        {
            assert_eq!(ask(&[host, ("origin", origin)]), Err("foreign_origin"), "{origin}");
        }
        for site in ["none", "same-origin", "cross-site", "same-site", ""] {
            assert_eq!(ask(&[host, ("sec-fetch-site", site)]), Err("foreign_origin"), "{site}");
        }
    }

    #[test]
    fn a_browser_may_open_the_pages_that_show_nothing_of_the_memory() {
        let host = ("host", "127.0.0.1:8003");
        for route in OPEN {
            let ask = |lines: &[(&str, &str)]| ask_at(route, route, lines);
            for site in ["none", "same-origin"] {
                assert_eq!(ask(&[host, ("sec-fetch-site", site)]), Ok(()), "{route} {site}");
            }
            for site in ["cross-site", "same-site", "", "None"] {
                assert_eq!(ask(&[host, ("sec-fetch-site", site)]), Err("foreign_origin"), "{route} {site}");
            }
            let twice = [host, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")];
            assert_eq!(ask(&twice), Err("foreign_origin"), "{route}");
            assert_eq!(ask(&[host, ("origin", "http://127.0.0.1:8003")]), Err("foreign_origin"), "{route}");
        }
    }
}
