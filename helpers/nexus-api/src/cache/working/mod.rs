//! The working memory: a few items that expire, in Redis alone, one hash for each agent.

mod items;

use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard};

use self::items::Items;
pub(crate) use self::items::{Item, Limits};
use crate::args::Args;
use crate::cache::redis::{Down, Redis};

/// The number of locks, which agents share.
const LOCKS: usize = 64;

/// The working memories of all agents.
pub(crate) struct Working {
    pub(crate) limits: Limits,
    /// A call holds one while it reads and changes a hash. Two calls overlap only if another
    /// process starts to serve before this one ends, or if a call gave up waiting for Redis. At
    /// worst there is one item too many, an access is not counted, or the oldest item leaves
    /// although it was just added again. Replies never show the item too many, and the next
    /// addition removes it.
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
}

/// The result of adding an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    /// False if the item existed; its lifetime starts again.
    pub(crate) is_new: bool,
    /// The number of items now.
    pub(crate) count: usize,
}

impl Working {
    /// Creates the working memories with the limits in `args`.
    pub(crate) fn new(args: &Args) -> Self {
        Self {
            limits: Limits { capacity: args.working_items, lifetime: args.working_ttl },
            locks: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// Adds an item, or starts the lifetime of an existing one again.
    pub(crate) async fn add(
        &self,
        redis: &Redis,
        agent: &str,
        id: &str,
        weight: f64,
        tags: &[String],
    ) -> Result<Added, Down> {
        let _locked = self.lock(agent).await;
        let mut items = self.read(redis, agent).await?;
        let (item, is_new) = items.add(id, weight, tags);
        // No transaction: our user may not use MULTI, because Redis answers no other client while
        // it executes one. If Redis exits between the two commands, a new hash does not expire, but
        // its items do.
        let lifetime = u64::try_from(self.limits.lifetime.as_millis()).unwrap_or(u64::MAX);
        let mut store = redis::pipe();
        store.cmd("HSET").arg(key(agent)).arg(id).arg(item.stored());
        store.cmd("PEXPIRE").arg(key(agent)).arg(lifetime);
        redis.ask_all(&store).await?;
        // Only after the new item is stored, which a full Redis refuses.
        if !items.stale.is_empty() {
            let mut remove = redis::cmd("HDEL");
            remove.arg(key(agent)).arg(&items.stale);
            redis.ask::<i64>(&remove).await?;
        }
        Ok(Added { is_new, count: items.live.len() })
    }

    /// Returns the items, newest first.
    pub(crate) async fn items(&self, redis: &Redis, agent: &str) -> Result<Vec<Item>, Down> {
        let mut items = self.read(redis, agent).await?.live;
        items.reverse();
        Ok(items)
    }

    /// Removes all items, and returns how many there were.
    pub(crate) async fn clear(&self, redis: &Redis, agent: &str) -> Result<usize, Down> {
        let _locked = self.lock(agent).await;
        let count = self.read(redis, agent).await?.live.len();
        let mut remove = redis::cmd("DEL");
        remove.arg(key(agent));
        redis.ask::<i64>(&remove).await?;
        Ok(count)
    }

    /// Removes one item, because its episode was forgotten.
    pub(crate) async fn forget(&self, redis: &Redis, agent: &str, id: &str) {
        let mut command = redis::cmd("HDEL");
        command.arg(key(agent)).arg(id);
        // If Redis is down, the item goes when it expires.
        let _removed = redis.ask::<i64>(&command).await;
    }

    async fn read(&self, redis: &Redis, agent: &str) -> Result<Items, Down> {
        let mut command = redis::cmd("HGETALL");
        command.arg(key(agent));
        let fields = redis.ask(&command).await?;
        Ok(Items::read(fields, Timestamp::now(), self.limits))
    }

    async fn lock(&self, agent: &str) -> MutexGuard<'_, ()> {
        let number = self.hasher.hash_one(agent) % LOCKS as u64;
        self.locks[usize::try_from(number).unwrap_or_default()].lock().await
    }
}

fn key(agent: &str) -> String {
    format!("nexus-api:working:{agent}")
}
