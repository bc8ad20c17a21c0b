//! The items of one agent: parses the fields of its hash and computes what an added item changes.
//! Uses no clock and no server.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond::required as milliseconds;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::time;

/// An item. Its JSON is the value of a field of the hash; the id is the field's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    #[serde(skip)]
    pub(super) id: String,
    #[serde(with = "in_text")]
    weight: f64,
    #[serde(with = "in_text")]
    tags: Vec<String>,
    #[serde(with = "milliseconds")]
    added: Timestamp,
    #[serde(with = "milliseconds")]
    accessed: Timestamp,
    #[serde(with = "milliseconds")]
    expires: Timestamp,
    pub(crate) accesses: u64,
    /// Increases with each item, because two can be added within one millisecond.
    order: u64,
}

impl Item {
    /// Returns the value of the hash's field.
    pub(super) fn stored(&self) -> String {
        json!(self).to_string()
    }

    /// Returns the JSON for a response.
    pub(crate) fn json(&self, now: Timestamp) -> Value {
        json!({
            "episode_id": self.id,
            "attention_weight": self.weight,
            "added_at": time::text(self.added),
            "last_accessed": time::text(self.accessed),
            "access_count": self.accesses,
            "tags": self.tags,
            "age_seconds": self.age(now),
        })
    }

    /// Returns the seconds since the item was added.
    pub(crate) fn age(&self, now: Timestamp) -> f64 {
        now.duration_since(self.added).as_secs_f64().max(0.0)
    }
}

/// How many items an agent may have, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most items. The oldest leaves when one more is added.
    pub(crate) capacity: u16,
    /// How long an item stays after it was last added.
    pub(crate) lifetime: Duration,
}

/// The content of a hash at one time.
#[derive(Debug)]
pub(super) struct Items {
    /// Oldest first, at most the capacity.
    pub(super) live: Vec<Item>,
    /// Fields that the next change removes: expired, beyond the capacity, or malformed.
    pub(super) stale: Vec<String>,
    now: Timestamp,
    limits: Limits,
}

impl Items {
    /// Sorts the `fields` of a hash.
    pub(super) fn read(fields: Vec<(String, String)>, now: Timestamp, limits: Limits) -> Self {
        let mut items = Self { live: Vec::new(), stale: Vec::new(), now, limits };
        for (id, value) in fields {
            match serde_json::from_str::<Item>(&value) {
                Ok(item) if item.expires > now => items.live.push(Item { id, ..item }),
                Ok(_) => items.stale.push(id),
                Err(_) => {
                    log::warn!("an item of the working memory is not in NEXUS's format and is left out");
                    items.stale.push(id);
                }
            }
        }
        // Two processes may have used the same number.
        items.live.sort_by(|a, b| (a.order, a.added, &a.id).cmp(&(b.order, b.added, &b.id)));
        items.trim(limits.capacity.into());
        items
    }

    /// Adds an item. An item that exists keeps its place, and its lifetime starts again. Returns it, and whether it is
    /// new.
    pub(super) fn add(&mut self, id: &str, weight: f64, tags: &[String]) -> (&Item, bool) {
        let Self { now, limits, .. } = *self;
        let mut item = Item {
            id: id.to_owned(),
            weight,
            tags: tags.to_vec(),
            added: now,
            accessed: now,
            expires: now + limits.lifetime,
            accesses: 0,
            order: 0,
        };
        // An expired one of the same id is overwritten.
        self.stale.retain(|stale| stale != id);
        let present = self.live.iter().position(|held| held.id == id);
        let at = if let Some(at) = present {
            let held = &self.live[at];
            (item.added, item.order) = (held.added, held.order);
            item.accesses = held.accesses.saturating_add(1);
            self.live[at] = item;
            at
        } else {
            self.trim(usize::from(limits.capacity).saturating_sub(1));
            item.order = self.live.last().map_or(0, |newest| newest.order).saturating_add(1);
            self.live.push(item);
            self.live.len() - 1
        };
        (&self.live[at], present.is_none())
    }

    /// Removes the oldest items beyond `most`.
    fn trim(&mut self, most: usize) {
        let surplus = self.live.len().saturating_sub(most);
        self.stale.extend(self.live.drain(..surplus).map(|item| item.id));
    }
}

/// Values as JSON in a string, the format of a script that wrote the first items.
mod in_text {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&serde_json::to_string(value).map_err(S::Error::custom)?)
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        serde_json::from_str(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(1_796_075_478_000 + millisecond).unwrap()
    }

    fn limits(capacity: u16) -> Limits {
        Limits { capacity, lifetime: Duration::from_millis(100) }
    }

    /// A hash that changes as the one in Redis would.
    #[derive(Clone, Default)]
    struct Hash(HashMap<String, String>);

    impl Hash {
        fn read(&self, now: i64, capacity: u16) -> Items {
            Items::read(self.0.clone().into_iter().collect(), at(now), limits(capacity))
        }

        fn ids(&self, now: i64, capacity: u16) -> Vec<String> {
            self.read(now, capacity).live.into_iter().map(|item| item.id).collect()
        }

        fn add(&mut self, id: &str, now: i64, capacity: u16) -> bool {
            let mut items = self.read(now, capacity);
            let (item, is_new) = items.add(id, 0.5, &[]);
            self.0.insert(id.to_owned(), item.stored());
            for id in items.stale {
                self.0.remove(&id);
            }
            is_new
        }
    }

    #[test]
    fn items_that_a_script_wrote_are_read() {
        // Its encoder escapes the slash.
        let value = r#"{"accesses":1,"weight":"1000000","accessed":1796075478609,"order":2,"tags":"[\"a\",\"b\/ñ\"]","added":1796075478602,"expires":1796079078609}"#;
        let items = Items::read(vec![("x".to_owned(), value.to_owned())], at(1000), limits(7));
        let answer = json!({
            "episode_id": "x",
            "attention_weight": 1_000_000.0,
            "added_at": "2026-11-30T21:51:18.602000+00:00",
            "last_accessed": "2026-11-30T21:51:18.609000+00:00",
            "access_count": 1,
            "tags": ["a", "b/ñ"],
            "age_seconds": 0.398,
        });
        assert_eq!(items.live[0].json(at(1000)), answer);
        // The script's version can read what is written now.
        let written: Value = serde_json::from_str(&items.live[0].stored()).unwrap();
        let mut read: Value = serde_json::from_str(value).unwrap();
        read["weight"] = json!("1000000.0");
        assert_eq!(written, read);
    }

    #[test]
    fn a_malformed_item_hides_no_other() {
        let mut hash = Hash::default();
        hash.add("a", 0, 3);
        for wrong in ["", "{}", "null", r#"{"order": -1}"#] {
            hash.0.insert("b".to_owned(), wrong.to_owned());
            assert_eq!(hash.ids(1, 3), ["a"], "{wrong}");
        }
        hash.add("c", 1, 3);
        assert_eq!(hash.ids(1, 3), ["a", "c"]);
        assert_eq!(hash.0.len(), 2);
    }

    #[test]
    fn two_processes_at_once_add_one_item_too_many_at_most() {
        let mut hash = Hash::default();
        assert!(hash.add("a", 0, 2) && hash.add("b", 0, 2));
        let mut other = hash.clone();
        hash.add("c", 1, 2);
        other.add("d", 2, 2);
        // Both removed the oldest.
        hash.0.extend(other.0.into_iter().filter(|(id, _)| id == "d"));
        assert_eq!(hash.0.len(), 3);
        assert_eq!(hash.ids(3, 2), ["c", "d"]);
        hash.add("e", 4, 2);
        assert_eq!(hash.0.len(), 2);
        assert_eq!(hash.ids(5, 2), ["d", "e"]);
    }

    proptest! {
        /// Compares with a list whose first item leaves when it is full.
        #[test]
        fn the_oldest_and_the_expired_items_leave(
            steps in prop::collection::vec((0_i64..60, 0_u8..6, 1_u16..5), 1..40),
        ) {
            let (mut hash, mut list, mut now) = (Hash::default(), Vec::<(String, i64)>::new(), 0);
            for (passed, id, capacity) in steps {
                now += passed;
                let id = id.to_string();
                list.retain(|(_, expires)| *expires > now);
                list.drain(..list.len().saturating_sub(capacity.into()));
                let held = list.iter_mut().find(|(held, _)| *held == id);
                prop_assert_eq!(hash.add(&id, now, capacity), held.is_none());
                if let Some((_, expires)) = held {
                    *expires = now + 100;
                } else {
                    if list.len() == usize::from(capacity) {
                        list.remove(0);
                    }
                    list.push((id, now + 100));
                }
                let ids: Vec<_> = list.iter().map(|(id, _)| id.clone()).collect();
                prop_assert_eq!(hash.ids(now, capacity), ids);
                prop_assert_eq!(hash.0.len(), list.len());
            }
        }

        #[test]
        fn an_item_is_read_as_it_was_stored(weight in 0.0..1e6_f64, tags: Vec<String>) {
            let mut items = Items::read(Vec::new(), at(0), limits(1));
            let item = items.add("a", weight, &tags).0.clone();
            let again = Items::read(vec![("a".to_owned(), item.stored())], at(1), limits(1));
            prop_assert_eq!(again.live, vec![item]);
        }
    }
}
