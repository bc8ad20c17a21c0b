//! Recent lists: the ids of a list under a key of the agent's, each text under `episode:` and its id, where nexus-purge
//! looks for copies of what it forgets. A list of which one text is gone counts as none.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cache::redis::Redis;
use crate::memory::episodes::Episode;

/// More agents than this are forgotten together, with their lists.
const MOST_AGENTS: usize = 10_000;

/// How keys of copies begin, as `NEXUS_REDIS_COPIES` says by default.
const COPY: &str = "episode:";

/// A list longer than so many bytes is not worth its room in Redis.
const MOST_BYTES: usize = 256 << 10;

/// Which lists count.
pub(crate) struct Recent {
    /// Of this process: what another one has cached may miss what was stored since.
    process: u64,
    generations: Mutex<Generations>,
    lifetime: Duration,
}

/// By agent: how often its lists have been made invalid.
#[derive(Default)]
struct Generations {
    by_agent: HashMap<String, u64>,
    /// Of all that are not named.
    others: u64,
}

impl Generations {
    fn of(&self, agent: &str) -> u64 {
        self.by_agent.get(agent).copied().unwrap_or(self.others)
    }

    fn raise(&mut self, agent: &str) {
        if self.by_agent.len() >= MOST_AGENTS {
            // Above every one there was.
            self.others = self.by_agent.values().copied().max().unwrap_or_default().max(self.others) + 1;
            self.by_agent.clear();
        }
        let next = self.of(agent) + 1;
        self.by_agent.insert(agent.to_owned(), next);
    }
}

impl Recent {
    /// Lists that are kept for `lifetime`; `process` is random.
    pub(crate) fn new(process: u64, lifetime: Duration) -> Self {
        Self { process, generations: Mutex::default(), lifetime }
    }

    /// The name of the list as it is now. Take it before the database is asked: if something is stored meanwhile, the list
    /// is kept under a name that nobody asks for any more.
    pub(crate) fn key(&self, agent: &str, limit: i64) -> String {
        let generation = self.generations.lock().unwrap_or_else(PoisonError::into_inner).of(agent);
        format!("nexus-api:recent:{:016x}:{generation}:{limit}:{agent}", self.process)
    }

    /// From now on no list of `agent` counts that was read before.
    pub(crate) fn invalidate(&self, agent: &str) {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner).raise(agent);
    }

    /// The list named `key` of `agent`, as answers have it.
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
            // A copy under that name may be another program's, or another agent's.
            (copy["agent"] == agent).then(|| copy["episode"].take())
        };
        texts.into_iter().map(episode).collect()
    }

    /// Keeps `episodes` as the list named `key` of `agent`.
    pub(crate) async fn keep(&self, redis: &Redis, key: &str, agent: &str, episodes: &[Episode]) {
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
        // After its texts, without which it counts as none.
        commands.cmd("SET").arg(key).arg(ids.join(",")).arg("PX").arg(lifetime);
        if bytes <= MOST_BYTES {
            // Without it the next one asks the database again.
            let _kept = redis.ask_all(&commands).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_invalid_stays_so() {
        let recent = Recent::new(1, Duration::from_secs(1));
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
        assert_ne!(Recent::new(2, Duration::from_secs(1)).key("b", 10), of_other);
    }
}
