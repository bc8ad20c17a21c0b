//! Before a request is answered: its token, its client's rate, its place among those at work, its time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use nexus_cli::credentials;
use nexus_cli::failure::{self, Exit, Failure};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::args::Args;
use crate::calls;
use crate::http::agent::Agent;
use crate::http::browser::{self, Hosts};
use crate::http::outside::Outside;
use crate::http::peer::Peer;
use crate::http::rate::Rate;
use crate::metrics::Metrics;
use crate::problem::Problem;

/// What the unit sets the credential to where there is no file.
const NO_TOKEN: &str = "none";

/// The shortest token, in bytes: a token of that many letters and digits cannot be guessed at any speed.
pub(crate) const SHORTEST: usize = 32;

/// Who shares places: of this machine's programs each as one agent, as most come from one address; of other machines each
/// address, as whatever else they say of themselves is theirs to choose.
type Client = (Option<Peer>, Option<String>);

/// What decides who comes in.
pub(crate) struct Gate {
    token: Option<SecretString>,
    /// By who is at the other end, whatever agent it names.
    rate: Rate<Option<Peer>>,
    outside: Outside,
    hosts: Hosts,
    places: Arc<Semaphore>,
    /// All agents of one peer together may take so many of the places: an agent's name is free to choose.
    share: usize,
    at_work: Arc<Mutex<HashMap<Client, usize>>>,
    /// No connection is kept any more after its answer.
    is_closing: AtomicBool,
}

impl Gate {
    /// As `args` say, and the credential `api_token`.
    ///
    /// # Errors
    /// As [`credentials::read`]; Settings (78) for a token that is too short.
    pub(crate) fn new(args: &Args) -> failure::Result<Self> {
        let token = if credentials::path_of("api_token").exists() {
            Some(credentials::read("api_token")?).filter(|token| token.expose_secret() != NO_TOKEN)
        } else {
            None
        };
        let token = token.map(long_enough).transpose()?;
        let places = usize::from(args.concurrency);
        Ok(Self {
            token,
            rate: Rate::new(args.rate),
            outside: Outside::new(args)?,
            hosts: Hosts::new(&args.hosts),
            places: Arc::new(Semaphore::new(places)),
            share: part_of(places),
            at_work: Arc::default(),
            is_closing: AtomicBool::new(false),
        })
    }

    /// Whether a token is asked for.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// From now on each answer ends its connection.
    pub(crate) fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    fn is_let_in(&self, headers: &HeaderMap) -> bool {
        self.token.as_ref().is_none_or(|token| bears(headers, token))
    }

    /// Who asks, of this machine, if it may.
    fn admit_local(&self, route: &str, peer: Option<Peer>, headers: &HeaderMap) -> Result<Client, Problem> {
        if route != "/health" && !self.is_let_in(headers) {
            return Err(Problem::unauthorized());
        }
        let agent = Agent::of(headers)?;
        self.rate
            .take(peer, Instant::now())
            .map_err(|wait| too_many(wait, "This client asks more often than it may (NEXUS_API_RATE)."))?;
        Ok((peer, Some(agent.0)))
    }

    /// Takes a place of the client's peer and one of its agent, which has a part of its peer's places.
    fn take_share(&self, (peer, agent): &Client) -> Option<(Share, Option<Share>)> {
        let of_peer = self.take_place((*peer, None), self.share)?;
        let of_agent = match agent {
            Some(agent) => Some(self.take_place((*peer, Some(agent.clone())), part_of(self.share))?),
            None => None,
        };
        Some((of_peer, of_agent))
    }

    fn take_place(&self, client: Client, most: usize) -> Option<Share> {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        let count = at_work.entry(client.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Share { at_work: Arc::clone(&self.at_work), client })
    }
}

/// Three quarters: the others always have the rest.
fn part_of(places: usize) -> usize {
    places - places / 4
}

/// `token`, unless it could be guessed.
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

/// Whether `token` could be guessed.
pub(crate) fn is_too_short(token: &SecretString) -> bool {
    token.expose_secret().len() < SHORTEST
}

/// Whether `headers` have `token`.
pub(crate) fn bears(headers: &HeaderMap, token: &SecretString) -> bool {
    let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let given = given.split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
    given.is_some_and(|(_, given)| given.ct_eq(token.expose_secret().as_bytes()).into())
}

/// 429: come back after `wait`.
pub(crate) fn too_many(wait: Duration, message: &str) -> Problem {
    // Whole seconds, and none too few.
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let seconds = u32::try_from(seconds.max(1)).unwrap_or(u32::MAX);
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
    Problem { retry_after: Some(seconds), ..problem }
}

/// One request's part of its client's share.
struct Share {
    at_work: Arc<Mutex<HashMap<Client, usize>>>,
    client: Client,
}

impl Drop for Share {
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

/// Counts, and answers a request that may come in.
pub(crate) async fn pass(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("other", |path| calls::known(path.as_str()));
    let mut response = match enter(&app, begun, route, request, next).await {
        Ok(response) => response,
        Err(problem) => {
            let is_unknown = problem.status == StatusCode::UNAUTHORIZED;
            let mut response = problem.into_response();
            if is_unknown {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    };
    for (name, value) in browser::ANSWER {
        response.headers_mut().insert(name, value);
    }
    app.metrics.observe(route, response.status().as_u16(), begun.elapsed());
    if app.gate.is_closing.load(Ordering::Relaxed) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn enter(
    app: &Arc<App>,
    begun: Instant,
    route: &'static str,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let gate = &app.gate;
    let peer = request.extensions().get::<Peer>().copied();
    // Checked first, also for calls that need no token. No browser opens a Unix socket.
    if matches!(peer, Some(Peer::Address(_))) {
        gate.hosts.admit(route, request.uri(), request.headers())?;
    }
    let (client, outside) = if peer == Some(Peer::Proxy) {
        Metrics::count(&app.metrics.outside);
        let address = gate.outside.admit(route, request.headers(), begun)?;
        let place = Arc::clone(&gate.outside.places).try_acquire_owned();
        ((Some(Peer::Address(address)), None), Some(place))
    } else if route == "/" {
        // Asks nothing of anybody, so that whoever watches over the service can always ask it.
        return Ok(next.run(request).await);
    } else {
        (gate.admit_local(route, peer, request.headers())?, None)
    };
    let busy = || Problem::unavailable("busy", "Too many requests are at work; try again.");
    let share = gate.take_share(&client).ok_or_else(busy)?;
    let outside = outside.transpose().map_err(|_| busy())?;
    let place = Arc::clone(&gate.places).try_acquire_owned().map_err(|_| busy())?;
    // In a task of its own: whatever was begun in the database is done to its end, also when the caller has gone, and so no
    // connection goes back to the pool half-way.
    let task_app = Arc::clone(app);
    let working = tokio::spawn(async move {
        Metrics::count(&task_app.metrics.in_flight);
        let response = next.run(request).await;
        task_app.metrics.in_flight.fetch_sub(1, Ordering::Relaxed);
        drop((share, outside, place));
        response
    });
    let answer = if calls::is_long(route) {
        working.await
    } else {
        tokio::time::timeout(app.args.timeout + app.args.timeout / 2, working).await.map_err(|_| {
            Problem::unavailable("timeout", "It took too long; what was asked may or may not have been done.")
        })?
    };
    answer.map_err(|error| {
        log::error!("a request ended before its answer: {error}");
        Problem::internal()
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// Of a machine that has no credentials.
    fn gate(token: Option<&str>, rate: &str) -> Gate {
        let args = Args::parse_from(["nexus-api", "--concurrency", "4", "--rate", rate]);
        let gate = Gate::new(&args).unwrap();
        Gate { token: token.map(|token| SecretString::from(token.to_owned())), ..gate }
    }

    fn with(authorization: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(authorization))])
    }

    #[test]
    fn only_the_token_lets_in() {
        let (without, gate) = (gate(None, "0"), gate(Some("secret"), "0"));
        assert!(gate.is_let_in(&with("Bearer secret")));
        assert!(gate.is_let_in(&with("bearer secret")));
        for wrong in ["", "Bearer", "Bearer ", "Bearer secre", "Bearer secret2", "Basic secret", "secret"] {
            assert!(!gate.is_let_in(&with(wrong)), "{wrong}");
        }
        assert!(!gate.is_let_in(&HeaderMap::new()));
        assert!(without.is_let_in(&HeaderMap::new()));
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
        let client = |user, agent: &str| (Some(Peer::User(user)), Some(agent.to_owned()));
        let (one, other) = (client(1, "a"), client(2, "a"));
        let shares: Vec<_> = (0..3).filter_map(|_| gate.take_share(&one)).collect();
        assert_eq!(shares.len(), 3);
        assert!(gate.take_share(&one).is_none());
        assert!(gate.take_share(&client(1, "b")).is_none(), "another agent's name gives no more places");
        assert!(gate.take_share(&other).is_some());
        drop(shares);
        assert!(gate.take_share(&one).is_some());
    }

    #[test]
    fn another_agents_name_makes_nobody_faster() {
        let gate = gate(None, "60");
        let ask = |peer, agent: String| {
            let mut headers = HeaderMap::new();
            headers.insert("x-nexus-agent", HeaderValue::from_str(&agent).unwrap());
            gate.admit_local("/stats", Some(peer), &headers)
        };
        let let_in = (0..50).filter(|number| ask(Peer::User(1), format!("a{number}")).is_ok()).count();
        assert_eq!(let_in, 10);
        assert!(ask(Peer::User(2), "a0".to_owned()).is_ok());
    }
}
