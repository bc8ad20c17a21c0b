//! Copies of episodes in Redis. Their keys are a prefix and the id of an episode.

use std::path::Path;

use clap::Args;
use nexus_cli::failure::Result;
use nexus_cli::stop::Stop;
use secrecy::SecretString;

use crate::client::{connect, scan};

/// Which keys are copies.
#[derive(Args, Clone, Debug)]
pub struct CopiesArgs {
    /// Prefixes of the Redis keys that hold copies of episodes; the id of the episode follows the prefix. none = no such keys
    #[arg(
        long,
        env = "NEXUS_REDIS_COPIES",
        value_name = "PREFIXES",
        default_value = "episode:",
        value_delimiter = ','
    )]
    redis_copies: Vec<String>,
}

impl CopiesArgs {
    /// Returns the prefixes of such keys.
    pub fn prefixes(&self) -> Vec<String> {
        let prefixes = self.redis_copies.iter().map(|prefix| prefix.trim().to_owned());
        prefixes.filter(|prefix| !prefix.is_empty() && prefix != "none").collect()
    }
}

/// Removes every copy whose id `is_forbidden` from Redis at `socket`, and returns how many it
/// removed. A copy begins with one of `prefixes`; `password` is that of the default user. A key
/// whose rest is not UTF-8 is not a copy.
///
/// # Errors
/// Unavailable (69), Permission (77), or TryLater (75) when stopped.
pub fn forget(
    socket: &Path,
    password: &SecretString,
    prefixes: &[String],
    is_forbidden: impl Fn(&str) -> bool,
    stop: &Stop,
) -> Result<u64> {
    let doing = format!("removing copies of forgotten episodes from Redis at {}", socket.display());
    let mut connection = connect(socket, password, &doing)?;
    let mut gone = 0;
    for prefix in prefixes {
        scan(&mut connection, prefix, &doing, stop, |connection, keys| {
            let forbidden: Vec<&Vec<u8>> = keys
                .iter()
                .filter(|key| {
                    let id = key.strip_prefix(prefix.as_bytes()).and_then(|id| std::str::from_utf8(id).ok());
                    id.is_some_and(&is_forbidden)
                })
                .collect();
            if !forbidden.is_empty() {
                gone += ::redis::cmd("UNLINK").arg(&forbidden).query::<u64>(connection)?;
            }
            Ok(())
        })?;
    }
    Ok(gone)
}
