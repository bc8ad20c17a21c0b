//! Redis's part: copies of episodes go with them, and keys that would live for ever are given an end.

use std::path::Path;
use std::thread;
use std::time::Duration;

use age::secrecy::ExposeSecret;
use nexus_core::credentials;
use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::progress::Progress;
use nexus_core::stop::Stop;
use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError};

use crate::rules::KeyRules;

/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Keys that are looked at in one step.
const AT_ONCE: usize = 1000;

/// How often Redis is asked whether its file is written anew.
const GLANCE: Duration = Duration::from_millis(200);

/// A connection.
pub(crate) struct Redis {
    connection: redis::Connection,
    doing: String,
}

impl Redis {
    /// Connects and logs in.
    ///
    /// # Errors
    /// Unavailable (69), or Permission (77) when it refuses the password.
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let doing = format!("speaking to Redis at {}", socket.display());
        let password = credentials::read("redis_password")?;
        let login =
            RedisConnectionInfo::default().set_password(password.expose_secret()).set_skip_set_lib_name();
        let connection = ConnectionAddr::Unix(socket.to_owned())
            .into_connection_info()
            .map(|info| info.set_redis_settings(login))
            .and_then(redis::Client::open)
            .and_then(|client| client.get_connection_with_timeout(PATIENCE))
            .and_then(|connection| connection.set_read_timeout(Some(PATIENCE)).map(|()| connection));
        match connection {
            Ok(connection) => Ok(Self { connection, doing }),
            Err(error) => Err(failed(&doing, error)),
        }
    }

    /// Removes the copies of the episodes `ids`: keys that are one of `prefixes` and then an id. Gives how many there were.
    ///
    /// # Errors
    /// Redis's.
    pub(crate) fn forget_copies(&mut self, prefixes: &[String], ids: &[String]) -> Result<u64> {
        if prefixes.is_empty() || ids.is_empty() {
            return Ok(0);
        }
        let mut unlink = redis::cmd("UNLINK");
        for prefix in prefixes {
            for id in ids {
                unlink.arg(format!("{prefix}{id}"));
            }
        }
        unlink.query(&mut self.connection).map_err(|error| failed(&self.doing, error))
    }

    /// Gives each key that has no end of life the one of its prefix. Gives how many there were.
    ///
    /// # Errors
    /// Redis's.
    pub(crate) fn give_ends(&mut self, rules: &KeyRules, progress: &Progress, stop: &Stop) -> Result<u64> {
        let mut given = 0;
        for rule in &rules.0 {
            let pattern = format!("{}*", escaped(&rule.prefix));
            let mut cursor = 0_u64;
            loop {
                stop.check()?;
                progress.advance(0);
                let (next, keys): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN")
                    .arg(cursor)
                    .arg("MATCH")
                    .arg(&pattern)
                    .arg("COUNT")
                    .arg(AT_ONCE)
                    .query(&mut self.connection)
                    .map_err(|error| failed(&self.doing, error))?;
                let mut expire = redis::pipe();
                for key in &keys {
                    expire.cmd("EXPIRE").arg(key).arg(rule.ttl.as_secs()).arg("NX");
                }
                if !keys.is_empty() {
                    let set: Vec<u64> =
                        expire.query(&mut self.connection).map_err(|error| failed(&self.doing, error))?;
                    given += set.iter().sum::<u64>();
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(given)
    }

    /// Lets Redis write its append-only file anew, without what is no more in it, and waits until that is done.
    ///
    /// # Errors
    /// Redis's.
    pub(crate) fn rewrite_file(&mut self, progress: &Progress, stop: &Stop) -> Result<()> {
        if !self.persistence()?.contains("aof_enabled:1") {
            return Ok(());
        }
        progress.doing("waiting for Redis to write its file anew");
        let asked: std::result::Result<redis::Value, _> =
            redis::cmd("BGREWRITEAOF").query(&mut self.connection);
        // One that is under way began before the copies went: then the next one is waited for.
        if let Err(error) = asked
            && !error.to_string().contains("already in progress")
        {
            return Err(failed(&self.doing, error));
        }
        loop {
            stop.check()?;
            progress.advance(0);
            let state = self.persistence()?;
            let is_busy = ["aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1"]
                .iter()
                .any(|busy| state.contains(busy));
            if !is_busy {
                break;
            }
            thread::sleep(GLANCE);
        }
        if self.persistence()?.contains("aof_last_bgrewrite_status:ok") {
            return Ok(());
        }
        Err(Failure::new(Exit::Io, &*self.doing)
            .because("it could not write its file anew: what was forgotten may still be in the old one")
            .advise("See: docker logs nexus-redis. The next run tries again"))
    }

    fn persistence(&mut self) -> Result<String> {
        redis::cmd("INFO")
            .arg("persistence")
            .query(&mut self.connection)
            .map_err(|error| failed(&self.doing, error))
    }
}

fn failed(doing: &str, error: RedisError) -> Failure {
    let refused = matches!(error.kind(), redis::ErrorKind::AuthenticationFailed)
        || error.code().is_some_and(|code| matches!(code, "WRONGPASS" | "NOAUTH" | "NOPERM"));
    if refused {
        return Failure::new(Exit::Permission, doing)
            .because("it refuses the password")
            .advise("Check the credential redis_password against the file redis_acl beside it");
    }
    Failure::new(Exit::Unavailable, doing)
        .because(error)
        .advise("Is the stack up? systemctl status nexus-stack; without Redis set NEXUS_REDIS_COPIES=none and no NEXUS_REDIS_TTL")
}

/// A prefix in a pattern of SCAN, where some characters mean more than themselves.
fn escaped(prefix: &str) -> String {
    prefix.chars().flat_map(|c| if "*?[]\\^-".contains(c) { vec!['\\', c] } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_for_itself_in_a_pattern() {
        assert_eq!(escaped("a*[b]?:"), "a\\*\\[b\\]\\?:");
    }
}
