//! Slows down guesses of tokens. The first few wrong tokens of an address cost nothing; each
//! further one doubles its wait.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The first wrong token that costs a wait.
const SLOW_FROM: u32 = 5;

/// The longest wait. It is short, because clients that share the address wait too.
const LONGEST: Duration = Duration::from_secs(60);

/// A client's count starts at zero again after this time without a wrong token.
const FORGOTTEN: Duration = Duration::from_secs(900);

/// The most clients in memory. More are dropped, those that do not wait first.
const MOST_CLIENTS: usize = 10_000;

/// The clients that have sent wrong tokens.
pub(crate) struct Slowdown<K> {
    clients: Mutex<HashMap<K, Wrong>>,
}

struct Wrong {
    count: u32,
    last: Instant,
    until: Instant,
}

impl<K: Eq + Hash> Slowdown<K> {
    /// Creates an empty list.
    pub(crate) fn new() -> Self {
        Self { clients: Mutex::default() }
    }

    /// Returns whether `client` may try a token at `now`; the error is the time that it must wait. The right token must wait
    /// too, or guessing would be as fast as without this.
    pub(crate) fn may_try(&self, client: &K, now: Instant) -> Result<(), Duration> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        match clients.get(client) {
            Some(wrong) if wrong.until > now => Err(wrong.until - now),
            _ => Ok(()),
        }
    }

    /// Counts a wrong token of `client`. Returns the time that it must wait now.
    pub(crate) fn was_wrong(&self, client: K, now: Instant) -> Duration {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MOST_CLIENTS {
            clients.retain(|_, wrong| wrong.until > now);
            if clients.len() >= MOST_CLIENTS {
                clients.clear();
            }
        }
        let wrong = clients.entry(client).or_insert(Wrong { count: 0, last: now, until: now });
        if now.saturating_duration_since(wrong.last) > FORGOTTEN {
            wrong.count = 0;
        }
        wrong.count = wrong.count.saturating_add(1);
        wrong.last = now;
        let wait = match wrong.count.checked_sub(SLOW_FROM) {
            None => Duration::ZERO,
            // 2^16 s is beyond the longest wait and does not overflow.
            Some(beyond) => Duration::from_secs(1 << beyond.min(16)).min(LONGEST),
        };
        wrong.until = now + wait;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_few_wrong_tokens_each_costs_more() {
        let (slowdown, mut now) = (Slowdown::new(), Instant::now());
        let waits: Vec<u64> = (0..13)
            .map(|_| {
                assert!(slowdown.may_try(&"a", now).is_ok());
                let wait = slowdown.was_wrong("a", now);
                now += wait;
                wait.as_secs()
            })
            .collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_wait_ends_and_concerns_one_client() {
        let (slowdown, now) = (Slowdown::new(), Instant::now());
        for _ in 0..6 {
            slowdown.was_wrong("a", now);
        }
        assert_eq!(slowdown.may_try(&"a", now), Err(Duration::from_secs(2)));
        assert_eq!(slowdown.may_try(&"b", now), Ok(()));
        assert_eq!(slowdown.may_try(&"a", now + Duration::from_secs(2)), Ok(()));
        assert_eq!(slowdown.was_wrong("a", now + FORGOTTEN + Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn the_number_of_clients_is_limited() {
        let (slowdown, now) = (Slowdown::new(), Instant::now());
        for client in 0..3 * MOST_CLIENTS {
            slowdown.was_wrong(client, now);
        }
        assert!(slowdown.clients.lock().unwrap().len() <= MOST_CLIENTS);
    }
}
