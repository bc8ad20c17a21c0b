//! What INFO says (Redis documentation, "INFO").

use std::collections::BTreeMap;

/// Its lines, `name:value`.
pub(super) struct Info(BTreeMap<String, String>);

/// Those that are looked at; the rest is a hundred lines.
const WANTED: [&str; 8] = [
    "aof_enabled",
    "aof_last_bgrewrite_status",
    "aof_last_write_status",
    "evicted_keys",
    "maxmemory",
    "rdb_last_bgsave_status",
    "total_forks",
    "used_memory",
];

impl Info {
    /// Takes what is wanted.
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        let wanted = pairs.filter(|(name, _)| WANTED.contains(name));
        Self(wanted.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    /// The value of a line.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The same as a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}
