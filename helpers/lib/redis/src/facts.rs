//! Facts about Redis from INFO: its version, its keys, and whether a key has no time to live.

use std::collections::BTreeMap;
use std::path::Path;

use nexus_cli::failure::{Exit, Failure, Result};
use secrecy::SecretString;

use crate::client::{connect, failed};

/// The version and the keys of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `redis_version`
    pub version: String,
    /// Keys by database number.
    pub keys: BTreeMap<u32, u64>,
    with_expiry: u64,
}

impl Facts {
    /// Returns whether some key has no time to live. No program would restore it after a loss.
    pub fn some_key_lives_for_ever(&self) -> bool {
        self.keys.values().copied().fold(0, u64::saturating_add) > self.with_expiry
    }

    /// Parses the answer of INFO (Redis documentation, "INFO", sections server and keyspace).
    fn parse(info: &str) -> Option<Self> {
        let mut facts = Self { version: String::new(), keys: BTreeMap::new(), with_expiry: 0 };
        for line in info.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name == "redis_version" {
                value.clone_into(&mut facts.version);
            } else if let Some(number) = name.strip_prefix("db").and_then(|n| n.parse().ok()) {
                // db0:keys=12,expires=3,avg_ttl=0
                let field = |wanted: &str| {
                    value
                        .split(',')
                        .find_map(|f| f.strip_prefix(wanted)?.strip_prefix('=')?.parse::<u64>().ok())
                };
                facts.keys.insert(number, field("keys")?);
                facts.with_expiry = facts.with_expiry.saturating_add(field("expires")?);
            }
        }
        (!facts.version.is_empty()).then_some(facts)
    }
}

/// Reads the facts from Redis at `socket`.
///
/// # Errors
/// Unavailable (69), or Permission (77) when it refuses the password.
pub fn read(socket: &Path, password: &SecretString) -> Result<Facts> {
    let doing = format!("asking Redis at {}", socket.display());
    let mut connection = connect(socket, password, &doing)?;
    let text: String = ::redis::cmd("INFO")
        .arg("server")
        .arg("keyspace")
        .query(&mut connection)
        .map_err(|error| failed(&doing, error))?;
    Facts::parse(&text)
        .ok_or_else(|| Failure::new(Exit::Unavailable, doing).because("it sent a malformed INFO"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_a_time_to_live_is_found() {
        let info =
            |keyspace: &str| format!("# Server\r\nredis_version:8.0.6\r\n\r\n# Keyspace\r\n{keyspace}\r\n");
        let for_ever = |keyspace| Facts::parse(&info(keyspace)).unwrap().some_key_lives_for_ever();
        assert!(!for_ever(""));
        assert!(!for_ever("db0:keys=3,expires=3,avg_ttl=10,subexpiry=0"));
        assert!(for_ever("db0:keys=3,expires=3,avg_ttl=10\r\ndb5:keys=2,expires=1,avg_ttl=0"));
    }
}
