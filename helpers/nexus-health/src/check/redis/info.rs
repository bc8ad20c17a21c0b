//! The reply to INFO (Redis documentation, "INFO").

use std::collections::BTreeMap;

/// The wanted lines, `name:value`.
pub(super) struct Info(BTreeMap<String, String>);

/// The lines that the check needs, of about a hundred.
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
    /// Parses the wanted lines.
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        let wanted = pairs.filter(|(name, _)| WANTED.contains(name));
        Self(wanted.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    /// Returns the value of a line.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the value of a line as a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}
