//! Requests from other machines: those that come over the proxy's socket. They need a token always, are counted by the address
//! that the proxy saw, and get a part of the calls.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, Result};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::args::{Args, OutsideCall};
use crate::http::gate::{SHORTEST, bears, is_too_short, too_many};
use crate::http::rate::Rate;
use crate::http::slowdown::Slowdown;
use crate::problem::Problem;

/// The credential: tokens, one a line, so that a new one can be valid before the old one ends.
const CREDENTIAL: &str = "remote_token";

/// What the unit sets the credential to where there is no file.
const NONE: &str = "none";

/// The proxy writes here whom it saw. Whatever a client wrote there, the proxy has replaced or put its own behind it.
const SEEN: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Of all places so many are for other machines together: this one's programs always have the rest.
const PART: usize = 2;

/// What decides which request from another machine comes in.
pub(crate) struct Outside {
    tokens: Vec<SecretString>,
    calls: Vec<OutsideCall>,
    rate: Rate<IpAddr>,
    slowdown: Slowdown<IpAddr>,
    /// Of those of the gate.
    pub(crate) places: Arc<Semaphore>,
}

impl Outside {
    /// As `args` say, and the credential `remote_token`.
    ///
    /// # Errors
    /// As [`credentials::read`]; Settings (78) for a token that is too short.
    pub(crate) fn new(args: &Args) -> Result<Self> {
        let text = if credentials::path_of(CREDENTIAL).exists() {
            Some(credentials::read(CREDENTIAL)?).filter(|text| text.expose_secret() != NONE)
        } else {
            None
        };
        Ok(Self {
            tokens: text.map_or_else(|| Ok(Vec::new()), |text| tokens(text.expose_secret()))?,
            calls: args.outside_calls.clone(),
            rate: Rate::new(args.outside_rate),
            slowdown: Slowdown::new(),
            places: Arc::new(Semaphore::new((usize::from(args.concurrency) / PART).max(1))),
        })
    }

    /// Lets a request for `route` in, and says from whom it is; or refuses it. What is wrong with its token is said before
    /// anything else, so that without one nobody learns what there is.
    pub(crate) fn admit(
        &self,
        route: &str,
        headers: &HeaderMap,
        now: Instant,
    ) -> std::result::Result<IpAddr, Problem> {
        let address = seen(headers).ok_or_else(|| {
            Problem::new(StatusCode::FORBIDDEN, "no_address", "The proxy has not said from where this comes.")
        })?;
        let client = counted(address);
        self.rate.take(client, now).map_err(|wait| {
            too_many(wait, "This address asks more often than it may (NEXUS_REMOTE_RATE).")
        })?;
        if self.tokens.is_empty() {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "closed",
                "There is no token for other machines, so none is let in.",
            ));
        }
        self.slowdown
            .may_try(&client, now)
            .map_err(|wait| too_many(wait, "This address has sent wrong tokens and must wait."))?;
        // Each is compared: how long it takes does not say which was nearly right.
        let is_let_in = self.tokens.iter().fold(false, |so_far, token| bears(headers, token) | so_far);
        if !is_let_in {
            // Who sends none has guessed nothing.
            if !headers.contains_key(AUTHORIZATION) {
                return Err(Problem::unauthorized());
            }
            let wait = self.slowdown.was_wrong(client, now);
            if !wait.is_zero() {
                log::warn!("wrong tokens from {address}: it must wait {} s", wait.as_secs());
            }
            return Err(Problem::unauthorized());
        }
        if !self.offers(route) {
            return Err(Problem::new(
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
            "/metrics" => self.calls.contains(&OutsideCall::Metrics),
            "/memory/export" | "/memory/import" => self.calls.contains(&OutsideCall::Export),
            _ => route.starts_with("/memory/"),
        }
    }
}

/// One a line.
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

/// The last address that `headers` name: that one is the proxy's word.
fn seen(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(SEEN).iter().next_back()?.to_str().ok()?;
    let address = last.rsplit(',').next()?.trim();
    // A neighbour's own address has its interface behind it.
    let address = address.split('%').next()?;
    address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Who counts as one: of IPv6 a whole network, since whoever has one address there has 2⁶⁴.
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

    fn outside(text: &str, calls: &[OutsideCall], rate: u32) -> Outside {
        Outside {
            tokens: tokens(text).unwrap(),
            calls: calls.to_vec(),
            rate: Rate::new(rate),
            slowdown: Slowdown::new(),
            places: Arc::new(Semaphore::new(1)),
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

    fn code(outside: &Outside, route: &str, headers: &HeaderMap) -> &'static str {
        outside.admit(route, headers, Instant::now()).map_or_else(|problem| problem.code, |_| "in")
    }

    #[test]
    fn a_token_is_needed_whatever_is_asked() {
        let outside = outside(TOKEN, &[], 0);
        for route in ["/", "/health", "/stats", "/memory/search", "/metrics", "other"] {
            for token in [None, Some("wrong")] {
                let from = format!("192.0.2.{}", route.len());
                assert_eq!(code(&outside, route, &headers(&[&from], token)), "unauthorized", "{route}");
            }
        }
        assert_eq!(code(&outside, "/health", &headers(&["192.0.2.1"], Some(TOKEN))), "in");
    }

    #[test]
    fn without_a_token_of_ours_nobody_comes_in() {
        let outside = outside("", &[], 0);
        for token in [None, Some(""), Some("none"), Some(TOKEN)] {
            assert_eq!(code(&outside, "/health", &headers(&["192.0.2.1"], token)), "closed");
        }
        assert!(tokens("short").is_err());
    }

    #[test]
    fn old_and_new_token_are_valid_together() {
        let outside = outside(&format!("{TOKEN}\n\n{OLD}\n"), &[], 0);
        for token in [TOKEN, OLD] {
            assert_eq!(code(&outside, "/stats", &headers(&["192.0.2.1"], Some(token))), "in");
        }
        let both = format!("{TOKEN}\n{OLD}");
        assert_eq!(outside.tokens.len(), 2);
        assert!(HeaderValue::from_str(&both).is_err(), "no header can hold the whole file");
    }

    #[test]
    fn only_the_memory_goes_out_unless_more_is_asked() {
        let least = outside(TOKEN, &[], 0);
        let most = outside(TOKEN, &[OutsideCall::Metrics, OutsideCall::Export], 0);
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
        let outside = outside(TOKEN, &[], 0);
        assert_eq!(code(&outside, "/health", &headers(&[], Some(TOKEN))), "no_address");
    }

    #[test]
    fn an_address_cannot_ask_faster_by_any_header_of_its_own() {
        let outside = outside(TOKEN, &[], 60);
        let now = Instant::now();
        let mut let_in = 0;
        for number in 0..50 {
            let mut asks = headers(&[&format!("10.0.0.{number}, 192.0.2.7")], Some(TOKEN));
            asks.insert("x-nexus-agent", HeaderValue::from_str(&format!("a{number}")).unwrap());
            asks.insert("x-real-ip", HeaderValue::from_str(&format!("10.0.0.{number}")).unwrap());
            let_in += usize::from(outside.admit("/stats", &asks, now).is_ok());
        }
        assert_eq!(let_in, 10);
        let problem = outside.admit("/stats", &headers(&["192.0.2.7"], Some(TOKEN)), now).unwrap_err();
        assert_eq!((problem.status.as_u16(), problem.retry_after), (429, Some(1)));
        assert!(outside.admit("/stats", &headers(&["192.0.2.8"], Some(TOKEN)), now).is_ok());
    }

    #[test]
    fn while_an_address_waits_for_wrong_tokens_the_right_one_waits_too() {
        let outside = outside(TOKEN, &[], 0);
        for _ in 0..5 {
            assert_eq!(code(&outside, "/stats", &headers(&["2001:db8::1"], Some("wrong"))), "unauthorized");
        }
        for _ in 0..20 {
            assert_eq!(code(&outside, "/stats", &headers(&["192.0.2.1"], None)), "unauthorized");
        }
        // Its neighbour in the same network is the same to us.
        for address in ["2001:db8::1", "2001:db8::2"] {
            assert_eq!(code(&outside, "/stats", &headers(&[address], Some(TOKEN))), "too_many_requests");
        }
        assert_eq!(code(&outside, "/stats", &headers(&["2001:db8:0:1::1"], Some(TOKEN))), "in");
    }

    proptest! {
        /// Whatever a client writes, the address that the proxy adds is the one that counts.
        #[test]
        fn what_the_proxy_adds_decides(before in "[ -~]{0,60}", address: std::net::Ipv4Addr) {
            let forwarded = format!("{before}, {address}");
            prop_assert_eq!(seen(&headers(&[&forwarded], None)), Some(IpAddr::V4(address)));
        }
    }
}
