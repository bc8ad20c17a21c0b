//! Redis's part: copies of episodes go with them, and keys that would live for ever are given an end.

use std::path::Path;
use std::thread;
use std::time::Duration;

use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_redis::client::{connect, escaped, failed};

use crate::rules::KeyRules;

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
        let connection = connect(socket, &password, &doing)?;
        Ok(Self { connection, doing })
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
