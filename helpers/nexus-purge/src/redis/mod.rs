//! Redis: deletes the copies of forgotten episodes, and sets a time to live on keys that have none.

use std::path::Path;
use std::thread;
use std::time::Duration;

use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_redis::client::{connect, failed, scan};

use crate::rules::KeyRules;

/// The time between two checks whether Redis has rewritten its file.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A connection to Redis.
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

    /// Deletes the copies of the episodes `ids`, whose keys are one of `prefixes` and an id. Returns their number.
    pub(crate) fn delete_copies(&mut self, prefixes: &[String], ids: &[String]) -> Result<u64> {
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

    /// Sets the time to live of its prefix on each key that has none. Returns the number of keys.
    pub(crate) fn set_ttls(&mut self, rules: &KeyRules, progress: &Progress, stop: &Stop) -> Result<u64> {
        let mut count = 0;
        for rule in &rules.0 {
            scan(&mut self.connection, &rule.prefix, &self.doing, stop, |connection, keys| {
                progress.advance(0);
                let mut expire = redis::pipe();
                for key in keys {
                    expire.cmd("EXPIRE").arg(key).arg(rule.ttl.as_secs()).arg("NX");
                }
                if !keys.is_empty() {
                    count += expire.query::<Vec<u64>>(connection)?.iter().sum::<u64>();
                }
                Ok(())
            })?;
        }
        Ok(count)
    }

    /// Has Redis rewrite its append-only file, without the deleted keys, and waits for the end.
    pub(crate) fn rewrite_aof(&mut self, progress: &Progress, stop: &Stop) -> Result<()> {
        if !self.persistence()?.contains("aof_enabled:1") {
            return Ok(());
        }
        progress.doing("waiting for Redis to rewrite its append-only file");
        // A rewrite that began before the keys were deleted may write them, so another one must follow it.
        while !self.begin_rewrite()? {
            self.wait_for_rewrite(progress, stop)?;
        }
        self.wait_for_rewrite(progress, stop)?;
        if self.persistence()?.contains("aof_last_bgrewrite_status:ok") {
            return Ok(());
        }
        Err(Failure::new(Exit::Io, &*self.doing)
            .because(
                "it could not rewrite its append-only file; the old file may still hold forgotten episodes",
            )
            .advise("See: docker logs nexus-redis. The next run tries again"))
    }

    /// Returns `false` if a rewrite is in progress already.
    fn begin_rewrite(&mut self) -> Result<bool> {
        match redis::cmd("BGREWRITEAOF").query::<redis::Value>(&mut self.connection) {
            Ok(_) => Ok(true),
            Err(error) if error.to_string().contains("already in progress") => Ok(false),
            Err(error) => Err(failed(&self.doing, error)),
        }
    }

    fn wait_for_rewrite(&mut self, progress: &Progress, stop: &Stop) -> Result<()> {
        loop {
            stop.check()?;
            progress.advance(0);
            let state = self.persistence()?;
            if !["aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1"]
                .iter()
                .any(|busy| state.contains(busy))
            {
                return Ok(());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn persistence(&mut self) -> Result<String> {
        redis::cmd("INFO")
            .arg("persistence")
            .query(&mut self.connection)
            .map_err(|error| failed(&self.doing, error))
    }
}
