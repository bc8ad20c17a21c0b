//! Caches recent lists. A key of the agent holds a list's ids. `episode:ID` holds a copy of each
//! episode; nexus-purge removes the copies of episodes that it forgets. A list with a missing copy
//! does not count.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cache::redis::Redis;
use crate::memory::episodes::Episode;

/// The most agents in memory. With more, the lists of all become invalid.
const MOST_AGENTS: usize = 10_000;

/// The prefix of copies, as in the default of `NEXUS_REDIS_COPIES`.
const COPY: &str = "episode:";

/// The longest list that is cached, in bytes.
const MOST_BYTES: usize = 256 << 10;

/// The cache of recent lists. Decides which ones are valid.
pub(crate) struct Recent {
    /// A random number. Another process's lists do not count, because they may lack what was stored
    /// since.
    process: u64,
    generations: Mutex<Generations>,
    lifetime: Duration,
}

/// Counts how often the lists of each agent became invalid.
#[derive(Default)]
struct Generations {
    by_agent: HashMap<String, u64>,
    /// The count of every other agent.
    others: u64,
}

impl Generations {
    fn of(&self, agent: &str) -> u64 {
        self.by_agent.get(agent).copied().unwrap_or(self.others)
    }

    fn raise(&mut self, agent: &str) {
        if self.by_agent.len() >= MOST_AGENTS {
            // Above every count so far.
            self.others = self.by_agent.values().copied().max().unwrap_or_default().max(self.others) + 1;
            self.by_agent.clear();
        }
        let next = self.of(agent) + 1;
        self.by_agent.insert(agent.to_owned(), next);
    }
}

impl Recent {
    /// Creates a cache whose lists stay in Redis for `lifetime`.
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self { process: RandomState::new().hash_one(0), generations: Mutex::default(), lifetime }
    }

    /// Returns the key of the current list. Call it before the query: if an episode is stored
    /// meanwhile, the list goes under a key that is no longer valid.
    pub(crate) fn key(&self, agent: &str, limit: i64) -> String {
        let generation = self.generations.lock().unwrap_or_else(PoisonError::into_inner).of(agent);
        format!("nexus-api:recent:{:016x}:{generation}:{limit}:{agent}", self.process)
    }

    /// Makes all lists of `agent` so far invalid.
    pub(crate) fn invalidate(&self, agent: &str) {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner).raise(agent);
    }

    /// Returns the list of `agent` under `key`, as JSON for the response.
    pub(crate) async fn get(&self, redis: &Redis, key: &str, agent: &str) -> Option<Vec<Value>> {
        let mut list = redis::cmd("GET");
        list.arg(key);
        let ids: Option<String> = redis.ask(&list).await.ok()?;
        let ids = ids?;
        if ids.is_empty() {
            return Some(Vec::new());
        }
        let mut copies = redis::cmd("MGET");
        for id in ids.split(',') {
            copies.arg(format!("{COPY}{id}"));
        }
        let texts: Vec<Option<Vec<u8>>> = redis.ask(&copies).await.ok()?;
        let episode = |text: Option<Vec<u8>>| {
            let mut copy: Value = serde_json::from_slice(&text?).ok()?;
            // Another program or another agent may have written a copy under that key.
            (copy["agent"] == agent).then(|| copy["episode"].take())
        };
        texts.into_iter().map(episode).collect()
    }

    /// Stores `episodes` as the list of `agent` under `key`.
    pub(crate) async fn store(&self, redis: &Redis, key: &str, agent: &str, episodes: &[Episode]) {
        let lifetime = u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX);
        let mut commands = redis::pipe();
        let (mut ids, mut bytes) = (Vec::with_capacity(episodes.len()), 0);
        for episode in episodes {
            let id = episode.id.to_string();
            let copy = json!({"agent": agent, "episode": episode.json()}).to_string();
            bytes += copy.len();
            commands.cmd("SET").arg(format!("{COPY}{id}")).arg(copy).arg("PX").arg(lifetime);
            ids.push(id);
        }
        // After the copies, without which it does not count.
        commands.cmd("SET").arg(key).arg(ids.join(",")).arg("PX").arg(lifetime);
        if bytes <= MOST_BYTES {
            // After an error, the next request asks the database again.
            let _stored = redis.ask_all(&commands).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_list_stays_invalid() {
        let recent = Recent::new(Duration::from_secs(1));
        let before = recent.key("a", 10);
        let of_other = recent.key("b", 10);
        recent.invalidate("a");
        assert_ne!(recent.key("a", 10), before);
        assert_eq!(recent.key("b", 10), of_other);
        let mut generations = Generations::default();
        let before = generations.of("a");
        for agent in 0..=MOST_AGENTS {
            generations.raise(&agent.to_string());
        }
        assert_ne!(generations.of("a"), before);
        assert_ne!(Recent::new(Duration::from_secs(1)).key("b", 10), of_other);
    }
}
