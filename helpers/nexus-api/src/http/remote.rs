//! Requests from other machines, which come over the proxy's socket. They always need a token, have
//! a rate for each address that the proxy saw, and may use some of the calls.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use nexus_cli::failure::{Exit, Failure, Result};
use secrecy::{ExposeSecret, SecretString};

use crate::args::{Args, RemoteCall};
use crate::error::ApiError;
use crate::http::rate::Rate;
use crate::http::slowdown::Slowdown;
use crate::http::token::{self, SHORTEST, bears, is_too_short};

/// The credential: tokens, one a line, so that a new one can be valid before the old one ends.
const CREDENTIAL: &str = "remote_token";

/// The header in which the proxy names the client's address. The proxy replaces what the client
/// wrote there, or appends to it.
const SEEN: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Decides which requests from other machines are answered.
pub(crate) struct Remote {
    tokens: Vec<SecretString>,
    calls: Vec<RemoteCall>,
    rate: Rate<IpAddr>,
    slowdown: Slowdown<IpAddr>,
}

impl Remote {
    /// Reads the credential `remote_token`, and takes the limits from `args`.
    ///
    /// # Errors
    /// If the credential cannot be read; Settings (78) if a token is too short.
    pub(super) fn new(args: &Args) -> Result<Self> {
        let text = token::read(CREDENTIAL)?;
        Ok(Self {
            tokens: text.map_or_else(|| Ok(Vec::new()), |text| tokens(text.expose_secret()))?,
            calls: args.remote_calls.clone(),
            rate: Rate::new(args.remote_rate),
            slowdown: Slowdown::new(),
        })
    }

    /// Admits a request for `route`, and returns its client's address. Checks the token before the
    /// route, so that nobody without a token learns which calls exist.
    pub(super) fn admit(
        &self,
        route: &str,
        headers: &HeaderMap,
        now: Instant,
    ) -> std::result::Result<IpAddr, ApiError> {
        let address = seen(headers).ok_or_else(|| {
            ApiError::new(
                StatusCode::FORBIDDEN,
                "no_address",
                "The proxy did not pass on the client's address.",
            )
        })?;
        let client = counted(address);
        self.rate.take(client, now).map_err(|wait| {
            ApiError::too_many(wait, "This address exceeds its request rate (NEXUS_REMOTE_RATE).")
        })?;
        if self.tokens.is_empty() {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "closed",
                "There is no token for other machines, so no machine has access.",
            ));
        }
        self.slowdown
            .may_try(&client, now)
            .map_err(|wait| ApiError::too_many(wait, "This address has sent wrong tokens and must wait."))?;
        // Compares each, so that the time shows nothing about the tokens.
        let is_admitted = self.tokens.iter().fold(false, |so_far, token| bears(headers, token) | so_far);
        if !is_admitted {
            // A request without a token is no guess.
            if !headers.contains_key(AUTHORIZATION) {
                return Err(ApiError::unauthorized());
            }
            let wait = self.slowdown.was_wrong(client, now);
            if !wait.is_zero() {
                log::warn!("wrong tokens from {address}: it must wait {} s", wait.as_secs());
            }
            return Err(ApiError::unauthorized());
        }
        if !self.offers(route) {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "not_outside",
                "This call is not for other machines (NEXUS_REMOTE_CALLS).",
            ));
        }
        Ok(client)
    }

    fn offers(&self, route: &str) -> bool {
        match route {
            "/health" | "/stats" => true,
            "/metrics" => self.calls.contains(&RemoteCall::Metrics),
            "/memory/export" | "/memory/import" => self.calls.contains(&RemoteCall::Export),
            _ => route.starts_with("/memory/"),
        }
    }
}

/// Parses tokens, one a line.
fn tokens(text: &str) -> Result<Vec<SecretString>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let tokens: Vec<SecretString> = lines.map(|line| SecretString::from(line.to_owned())).collect();
    if tokens.iter().any(is_too_short) {
        return Err(Failure::new(Exit::Settings, format!("reading credential {CREDENTIAL}"))
            .because(format!("a token in it has fewer than {SHORTEST} characters"))
            .advise("Make one: head -c 32 /dev/urandom | base64"));
    }
    Ok(tokens)
}

/// Returns the last address in `headers`, which is the one that the proxy wrote.
fn seen(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(SEEN).iter().next_back()?.to_str().ok()?;
    let address = last.rsplit(',').next()?.trim();
    // A link-local address has its interface as a suffix.
    let address = address.split('%').next()?;
    address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Returns the address by which a client is counted. In IPv6 that is its network, because a client
/// has 2⁶⁴ addresses there.
fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const OLD: &str = "fedcba9876543210fedcba9876543210";

    fn remote(text: &str, calls: &[RemoteCall], rate: u32) -> Remote {
        Remote {
            tokens: tokens(text).unwrap(),
            calls: calls.to_vec(),
            rate: Rate::new(rate),
            slowdown: Slowdown::new(),
        }
    }

    fn headers(forwarded: &[&str], token: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(SEEN, HeaderValue::from_str(value).unwrap());
        }
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
        }
        headers
    }

    fn code(remote: &Remote, route: &str, headers: &HeaderMap) -> &'static str {
        remote.admit(route, headers, Instant::now()).map_or_else(|error| error.code, |_| "in")
    }

    #[test]
    fn every_call_needs_a_token() {
        let remote = remote(TOKEN, &[], 0);
        for route in ["/", "/health", "/stats", "/memory/search", "/metrics", "other"] {
            for token in [None, Some("wrong")] {
                let from = format!("192.0.2.{}", route.len());
                assert_eq!(code(&remote, route, &headers(&[&from], token)), "unauthorized", "{route}");
            }
        }
        assert_eq!(code(&remote, "/health", &headers(&["192.0.2.1"], Some(TOKEN))), "in");
    }

    #[test]
    fn without_a_credential_every_request_is_refused() {
        let remote = remote("", &[], 0);
        for token in [None, Some(""), Some("none"), Some(TOKEN)] {
            assert_eq!(code(&remote, "/health", &headers(&["192.0.2.1"], token)), "closed");
        }
        assert!(tokens("short").is_err());
    }

    #[test]
    fn old_and_new_token_are_valid_together() {
        let remote = remote(&format!("{TOKEN}\n\n{OLD}\n"), &[], 0);
        for token in [TOKEN, OLD] {
            assert_eq!(code(&remote, "/stats", &headers(&["192.0.2.1"], Some(token))), "in");
        }
        let both = format!("{TOKEN}\n{OLD}");
        assert_eq!(remote.tokens.len(), 2);
        assert!(HeaderValue::from_str(&both).is_err(), "no header can hold the whole file");
    }

    #[test]
    fn other_machines_reach_only_the_memory_by_default() {
        let least = remote(TOKEN, &[], 0);
        let most = remote(TOKEN, &[RemoteCall::Metrics, RemoteCall::Export], 0);
        let asks = headers(&["192.0.2.1"], Some(TOKEN));
        for route in ["/memory/search", "/memory/episode/{id}", "/health", "/stats"] {
            assert_eq!(code(&least, route, &asks), "in", "{route}");
        }
        for route in ["/metrics", "/memory/export", "/memory/import"] {
            assert_eq!(code(&least, route, &asks), "not_outside", "{route}");
            assert_eq!(code(&most, route, &asks), "in", "{route}");
        }
        for route in ["/", "/openapi.json", "other"] {
            assert_eq!(code(&most, route, &asks), "not_outside", "{route}");
        }
    }

    #[test]
    fn only_the_last_address_counts() {
        for (forwarded, wanted) in [
            (&["192.0.2.7"][..], Some("192.0.2.7")),
            (&["127.0.0.1, 192.0.2.7"], Some("192.0.2.7")),
            (&["127.0.0.1", "10.0.0.1,192.0.2.7"], Some("192.0.2.7")),
            (&["::ffff:192.0.2.7"], Some("192.0.2.7")),
            (&["fe80::1%eth0"], Some("fe80::1")),
            (&["192.0.2.7, unknown"], None),
            (&["192.0.2.7:80"], None),
            (&[""], None),
            (&[], None),
        ] {
            let wanted = wanted.map(|address: &str| address.parse::<IpAddr>().unwrap());
            assert_eq!(seen(&headers(forwarded, None)), wanted, "{forwarded:?}");
        }
        let remote = remote(TOKEN, &[], 0);
        assert_eq!(code(&remote, "/health", &headers(&[], Some(TOKEN))), "no_address");
    }

    #[test]
    fn no_header_raises_the_rate_of_an_address() {
        let remote = remote(TOKEN, &[], 60);
        let now = Instant::now();
        let mut admitted = 0;
        for number in 0..50 {
            let mut asks = headers(&[&format!("10.0.0.{number}, 192.0.2.7")], Some(TOKEN));
            asks.insert("x-nexus-agent", HeaderValue::from_str(&format!("a{number}")).unwrap());
            asks.insert("x-real-ip", HeaderValue::from_str(&format!("10.0.0.{number}")).unwrap());
            admitted += usize::from(remote.admit("/stats", &asks, now).is_ok());
        }
        assert_eq!(admitted, 10);
        let error = remote.admit("/stats", &headers(&["192.0.2.7"], Some(TOKEN)), now).unwrap_err();
        assert_eq!((error.status.as_u16(), error.retry_after), (429, Some(1)));
        assert!(remote.admit("/stats", &headers(&["192.0.2.8"], Some(TOKEN)), now).is_ok());
    }

    #[test]
    fn after_wrong_tokens_the_right_one_must_wait_too() {
        let remote = remote(TOKEN, &[], 0);
        for _ in 0..5 {
            assert_eq!(code(&remote, "/stats", &headers(&["2001:db8::1"], Some("wrong"))), "unauthorized");
        }
        for _ in 0..20 {
            assert_eq!(code(&remote, "/stats", &headers(&["192.0.2.1"], None)), "unauthorized");
        }
        // An address in the same network counts as the same client.
        for address in ["2001:db8::1", "2001:db8::2"] {
            assert_eq!(code(&remote, "/stats", &headers(&[address], Some(TOKEN))), "too_many_requests");
        }
        assert_eq!(code(&remote, "/stats", &headers(&["2001:db8:0:1::1"], Some(TOKEN))), "in");
    }

    proptest! {
        #[test]
        fn the_proxys_address_counts_whatever_the_client_wrote(before in "[ -~]{0,60}", address: std::net::Ipv4Addr) {
            let forwarded = format!("{before}, {address}");
            prop_assert_eq!(seen(&headers(&[&forwarded], None)), Some(IpAddr::V4(address)));
        }
    }
}
