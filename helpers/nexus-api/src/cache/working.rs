//! The working memory: a few items with an end of life, in Redis alone, changed by one script so that each call is one step.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::args::Args;
use crate::cache::redis::{Down, Redis};
use crate::time;

const SCRIPT: &str = include_str!("working.lua");

/// Values of the script's answer that belong to one item.
const ITEM: usize = 7;

/// How many items there may be, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Working {
    /// The oldest leaves when there is one more.
    pub(crate) capacity: u16,
    /// From when it was last added.
    pub(crate) lifetime: Duration,
}

/// What came of adding an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    /// False when it was there already, and begins its life anew.
    pub(crate) is_new: bool,
    /// Items there are now.
    pub(crate) count: i64,
}

/// An item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) weight: f64,
    pub(crate) tags: Vec<String>,
    pub(crate) added: Timestamp,
    pub(crate) accessed: Timestamp,
    pub(crate) accesses: u64,
    pub(crate) age: f64,
    order: f64,
}

impl Item {
    /// As answers have it.
    pub(crate) fn json(&self) -> Value {
        json!({
            "episode_id": self.id,
            "attention_weight": self.weight,
            "added_at": time::text(self.added),
            "last_accessed": time::text(self.accessed),
            "access_count": self.accesses,
            "tags": self.tags,
            "age_seconds": self.age,
        })
    }
}

impl Working {
    /// As `args` say.
    pub(crate) fn new(args: &Args) -> Self {
        Self { capacity: args.working_items, lifetime: args.working_ttl }
    }

    /// Adds an item, or lets one begin its life anew.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub(crate) async fn add(
        &self,
        redis: &Redis,
        agent: &str,
        id: &str,
        weight: f64,
        tags: &[String],
    ) -> Result<Added, Down> {
        let mut command = self.command("add", agent);
        command.arg(id).arg(weight.to_string()).arg(json!(tags).to_string());
        let (count, added, _now): (i64, i64, String) = redis.ask(&command).await?;
        Ok(Added { is_new: added == 1, count })
    }

    /// The items, newest first.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub(crate) async fn items(&self, redis: &Redis, agent: &str) -> Result<Vec<Item>, Down> {
        let answer: Vec<redis::Value> = redis.ask(&self.command("items", agent)).await?;
        let texts = answer.into_iter().skip(2).map(redis::from_redis_value::<String>);
        let texts = texts.collect::<Result<Vec<_>, _>>().map_err(|_| Down)?;
        let (now, rest) = texts.split_first().ok_or(Down)?;
        let mut items: Vec<Item> =
            rest.chunks_exact(ITEM).map(|values| item(values, now)).collect::<Option<_>>().ok_or(Down)?;
        items.sort_by(|a, b| b.order.total_cmp(&a.order));
        Ok(items)
    }

    /// Removes all items, and gives how many there were.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub(crate) async fn clear(&self, redis: &Redis, agent: &str) -> Result<i64, Down> {
        let (count,): (i64,) = redis.ask(&self.command("clear", agent)).await?;
        Ok(count)
    }

    /// Removes one item: its episode was forgotten.
    pub(crate) async fn forget(&self, redis: &Redis, agent: &str, id: &str) {
        let mut command = redis::cmd("HDEL");
        command.arg(key(agent)).arg(id);
        // With Redis down it goes when its time is over.
        let _gone = redis.ask::<i64>(&command).await;
    }

    fn command(&self, what: &str, agent: &str) -> redis::Cmd {
        let lifetime = u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX);
        let mut command = redis::cmd("EVAL");
        command.arg(SCRIPT).arg(1).arg(key(agent)).arg(what).arg(lifetime).arg(self.capacity);
        command
    }
}

fn key(agent: &str) -> String {
    format!("nexus-api:working:{agent}")
}

fn item(values: &[String], now: &str) -> Option<Item> {
    let [id, weight, tags, added, accessed, count, order] = values else { return None };
    // Lua's numbers are floating: "1764100000000" may come as "1.7641e+12".
    #[allow(clippy::cast_possible_truncation)]
    let moment = |text: &str| Timestamp::from_millisecond(text.parse::<f64>().ok()? as i64).ok();
    let (added, accessed, now) = (moment(added)?, moment(accessed)?, moment(now)?);
    Some(Item {
        id: id.clone(),
        weight: weight.parse().ok()?,
        tags: serde_json::from_str(tags).ok()?,
        added,
        accessed,
        accesses: count.parse::<f64>().ok().map(|count| format!("{count:.0}"))?.parse().ok()?,
        age: now.duration_since(added).as_secs_f64().max(0.0),
        order: order.parse().ok()?,
    })
}
