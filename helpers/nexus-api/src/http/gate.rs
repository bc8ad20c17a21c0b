//! Admits requests: checks the token and the client's rate, reserves a place, and limits the time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONNECTION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use nexus_cli::failure::{self, Exit, Failure};
use nexus_sharing::shares::{Share, Shares};
use secrecy::SecretString;

use crate::args::Args;
use crate::error::ApiError;
use crate::http::agent::Agent;
use crate::http::browser::{self, Hosts};
use crate::http::rate::Rate;
use crate::http::remote::Remote;
use crate::http::token::{self, SHORTEST, bears, is_too_short};
use crate::metrics::Metrics;
use crate::peer::{Peer, Sharer};

/// The unit that shares places. A program of this machine counts by its peer and its agent, because
/// most programs have one address. Another machine counts by its address alone, because it chooses
/// everything else that it sends.
type Client = (Peer, Option<String>);

/// Decides which requests to answer.
pub(crate) struct Gate {
    token: Option<SecretString>,
    /// Counts by peer alone, because a client may name any agent.
    rate: Rate<Peer>,
    remote: Remote,
    hosts: Hosts,
    places: Arc<Shares<Sharer>>,
    at_work: Arc<Mutex<HashMap<Client, usize>>>,
    /// Time limit for a request.
    limit: Duration,
    metrics: Arc<Metrics>,
    is_closing: AtomicBool,
}

impl Gate {
    /// Creates a gate from `args` and the credentials `api_token` and `remote_token`.
    ///
    /// # Errors
    /// If a credential cannot be read; Settings (78) if a token is too short.
    pub(crate) fn new(args: &Args, metrics: Arc<Metrics>) -> failure::Result<Self> {
        let token = token::read("api_token")?.map(long_enough).transpose()?;
        Ok(Self {
            token,
            rate: Rate::new(args.rate),
            remote: Remote::new(args)?,
            hosts: Hosts::new(&args.hosts),
            places: Shares::new(usize::from(args.concurrency)),
            at_work: Arc::default(),
            limit: args.timeout + args.timeout / 2,
            metrics,
            is_closing: AtomicBool::new(false),
        })
    }

    /// Puts this gate before every call of `router`.
    pub(crate) fn guard(self: &Arc<Self>, router: Router) -> Router {
        router.layer(from_fn_with_state(Arc::clone(self), pass))
    }

    /// Returns whether requests need a token.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Makes each response from now on end its connection.
    pub(crate) fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        self.token.as_ref().is_none_or(|token| bears(headers, token))
    }

    /// Admits a request from this machine. Returns its client.
    fn admit_local(&self, route: &str, peer: Peer, headers: &HeaderMap) -> Result<Client, ApiError> {
        if route != "/health" && !self.is_authorized(headers) {
            return Err(ApiError::unauthorized());
        }
        let agent = Agent::of(headers)?;
        self.rate.take(peer, Instant::now()).map_err(|wait| {
            ApiError::too_many(wait, "This client sends more requests than NEXUS_API_RATE allows.")
        })?;
        Ok((peer, peer.is_local().then_some(agent.0)))
    }

    /// Takes a place for a request of `client`, which came from `peer`. A client may take three
    /// quarters of what its peer can have.
    fn take_place(&self, peer: Peer, client: Client) -> Option<Place> {
        let most = self.places.most(peer.sharing());
        let share = self.places.take(peer.sharing(), 1)?;
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        let count = at_work.get(&client).copied().unwrap_or_default();
        if count >= most - most / 4 {
            return None;
        }
        at_work.insert(client.clone(), count + 1);
        Some(Place { _share: share, at_work: Arc::clone(&self.at_work), client })
    }
}

/// Returns `token`, or an error if it is too short.
fn long_enough(token: SecretString) -> failure::Result<SecretString> {
    if is_too_short(&token) {
        return Err(Failure::new(Exit::Settings, "reading credential api_token")
            .because(format!("it has fewer than {SHORTEST} characters"))
            .advise(
                "Make another: sh -c 'umask 077 && head -c 24 /dev/urandom | base64 >/etc/nexus/credentials/api_token', \
                 then: systemctl restart nexus-api nexus-health",
            ));
    }
    Ok(token)
}

/// Returns whether the call at `path` has no time limit of its own.
fn is_long(path: &str) -> bool {
    matches!(path, "/memory/export" | "/memory/import")
}

/// The place of one request; dropping it frees the place.
struct Place {
    _share: Share<Sharer>,
    at_work: Arc<Mutex<HashMap<Client, usize>>>,
    client: Client,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = at_work.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                at_work.remove(&self.client);
            }
        }
    }
}

/// Answers a request with `next` if it is admitted, else with the error. Counts it.
async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("other", MatchedPath::as_str);
    let mut response = match enter(&gate, begun, route, request, next).await {
        Ok(response) => response,
        Err(error) => {
            let is_unknown = error.status == StatusCode::UNAUTHORIZED;
            let mut response = error.into_response();
            if is_unknown {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    };
    for (name, value) in browser::HEADERS {
        response.headers_mut().insert(name, value);
    }
    gate.metrics.observe(route, response.status().as_u16(), begun.elapsed());
    if gate.is_closing.load(Ordering::Relaxed) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn enter(
    gate: &Gate,
    begun: Instant,
    route: &str,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let peer = request.extensions().get::<Peer>().copied().ok_or_else(ApiError::internal)?;
    // Before the token, because this check covers calls that need no token. No browser opens a Unix socket.
    if matches!(peer, Peer::Address(_)) {
        gate.hosts.admit(route, request.uri(), request.headers())?;
    }
    let client = if peer == Peer::Proxy {
        Metrics::count(&gate.metrics.remote);
        (Peer::Address(gate.remote.admit(route, request.headers(), begun)?), None)
    } else if route == "/" {
        // This call needs no server and no place, so the watchdog always gets a response.
        return Ok(next.run(request).await);
    } else {
        gate.admit_local(route, peer, request.headers())?
    };
    let place = gate
        .take_place(peer, client)
        .ok_or_else(|| ApiError::unavailable("busy", "Too many requests are in progress; try again."))?;
    // The task runs to its end even if the client has gone, so no connection returns to the pool
    // within a transaction.
    let metrics = Arc::clone(&gate.metrics);
    let working = tokio::spawn(async move {
        Metrics::count(&metrics.in_flight);
        let response = next.run(request).await;
        metrics.in_flight.fetch_sub(1, Ordering::Relaxed);
        drop(place);
        response
    });
    let response = if is_long(route) {
        working.await
    } else {
        tokio::time::timeout(gate.limit, working).await.map_err(|_| {
            ApiError::unavailable(
                "timeout",
                "The request took too long. It may or may not have been carried out.",
            )
        })?
    };
    response.map_err(|error| {
        log::error!("a request ended without a response: {error}");
        ApiError::internal()
    })
}

#[cfg(test)]
mod tests {
    use axum::http::header::AUTHORIZATION;
    use clap::Parser;

    use super::*;

    /// Creates the gate of a machine that has no credentials.
    fn gate(token: Option<&str>, rate: &str) -> Gate {
        let args = Args::parse_from(["nexus-api", "--concurrency", "4", "--rate", rate]);
        let gate = Gate::new(&args, Arc::default()).unwrap();
        Gate { token: token.map(|token| SecretString::from(token.to_owned())), ..gate }
    }

    fn with(authorization: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(authorization))])
    }

    #[test]
    fn only_the_token_is_accepted() {
        let (without, gate) = (gate(None, "0"), gate(Some("secret"), "0"));
        assert!(gate.is_authorized(&with("Bearer secret")));
        assert!(gate.is_authorized(&with("bearer secret")));
        for wrong in ["", "Bearer", "Bearer ", "Bearer secre", "Bearer secret2", "Basic secret", "secret"] {
            assert!(!gate.is_authorized(&with(wrong)), "{wrong}");
        }
        assert!(!gate.is_authorized(&HeaderMap::new()));
        assert!(without.is_authorized(&HeaderMap::new()));
    }

    #[test]
    fn a_token_that_can_be_guessed_is_refused() {
        let token = |length| long_enough(SecretString::from("x".repeat(length)));
        assert_eq!(token(SHORTEST - 1).unwrap_err().exit(), Exit::Settings);
        assert!(token(SHORTEST).is_ok());
    }

    #[test]
    fn one_client_does_not_take_every_place() {
        let gate = gate(None, "0");
        let take =
            |user, agent: &str| gate.take_place(Peer::User(user), (Peer::User(user), Some(agent.to_owned())));
        let held = [take(1, "a"), take(1, "a")].map(Option::unwrap);
        assert!(take(1, "a").is_none());
        assert!(take(1, "b").is_none(), "another agent's name gives no more places");
        assert!(take(2, "a").is_some());
        drop(held);
        assert!(take(1, "a").is_some());
    }

    #[test]
    fn one_agent_leaves_places_to_others_of_its_user() {
        let gate = Gate { places: Shares::new(64), ..gate(None, "0") };
        let take = |agent: &str| gate.take_place(Peer::User(1), (Peer::User(1), Some(agent.to_owned())));
        let held: Vec<_> = std::iter::from_fn(|| take("a")).collect();
        assert_eq!(held.len(), 24, "three quarters of a half");
        let others: Vec<_> = std::iter::from_fn(|| take("b")).collect();
        assert_eq!(others.len(), 8);
    }

    #[test]
    fn another_agents_name_makes_nobody_faster() {
        let gate = gate(None, "60");
        let ask = |peer, agent: String| {
            let mut headers = HeaderMap::new();
            headers.insert("x-nexus-agent", HeaderValue::from_str(&agent).unwrap());
            gate.admit_local("/stats", peer, &headers)
        };
        let admitted = (0..50).filter(|number| ask(Peer::User(1), format!("a{number}")).is_ok()).count();
        assert_eq!(admitted, 10);
        assert!(ask(Peer::User(2), "a0".to_owned()).is_ok());
    }
}
