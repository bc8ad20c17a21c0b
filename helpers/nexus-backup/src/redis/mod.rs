//! Redis in a set: decides whether to back it up, and takes the snapshot that Redis sends over its socket.

use std::path::Path;

use nexus_backup_set::REDIS;
use nexus_backup_set::manifest::Redis;
use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_fs::new_file::Stored;
use nexus_redis::facts;
use nexus_redis::snapshot::{Login, Snapshot};

use crate::args::WhenRedis;
use crate::pipeline;
use crate::staging::Staging;

pub(crate) use nexus_redis::facts::Facts;

/// The first bytes of an RDB file.
const MAGIC: &[u8] = b"REDIS";

/// Whether the set will have Redis's snapshot.
pub(crate) enum Part {
    /// The set gets none: the settings exclude Redis, or every key has a time to live.
    NotWanted,
    /// The set gets a snapshot.
    Wanted(Facts),
    /// The set lacks the snapshot, because Redis cannot be read, for this reason.
    Missing(String),
}

/// Asks Redis what it holds, and decides.
///
/// # Errors
/// Only if the settings require Redis: Unavailable (69) if it does not respond, Permission (77) if it refuses the password.
pub(crate) fn inspect(when: WhenRedis, socket: &Path) -> Result<Part> {
    if when == WhenRedis::No {
        return Ok(Part::NotWanted);
    }
    let facts = credentials::read("redis_password").and_then(|password| facts::read(socket, &password));
    match facts.map_err(with_advice) {
        Ok(facts) if when == WhenRedis::Yes || facts.some_key_lives_for_ever() => Ok(Part::Wanted(facts)),
        Ok(_) => Ok(Part::NotWanted),
        Err(failure) if when == WhenRedis::Yes => Err(failure),
        Err(failure) => Ok(Part::Missing(failure.to_string())),
    }
}

/// Returns whether the set may go without Redis after `failure`. It may not if the set could not be written.
pub(crate) fn may_lack(when: WhenRedis, failure: &Failure, stop: &Stop) -> bool {
    when != WhenRedis::Yes && !stop.is_set() && matches!(failure.exit(), Exit::Unavailable | Exit::Permission)
}

/// Writes Redis's snapshot into the set.
pub(crate) fn back_up(
    facts: &Facts,
    socket: &Path,
    staging: &Staging,
    progress: &Progress,
    stop: &Stop,
) -> Result<(Redis, Stored)> {
    let login = Login { user: None, password: credentials::read("redis_password")? };
    let doing = "taking Redis's snapshot";
    progress.doing(doing);
    let mut snapshot = Snapshot::ask(socket, Some(&login), stop).map_err(with_advice)?;
    let streamed = pipeline::store(&mut snapshot, MAGIC, REDIS, doing, staging, progress, |_| ());
    let streamed = streamed
        .map_err(with_advice)?
        .ok_or_else(|| Failure::new(Exit::Unavailable, doing).because("Redis did not send an RDB file"))?;
    let redis = Redis {
        version: facts.version.clone(),
        keys: facts.keys.clone(),
        bytes: streamed.bytes,
        sha256: streamed.sha256,
    };
    Ok((redis, streamed.stored))
}

/// Adds where to find the cause.
fn with_advice(failure: Failure) -> Failure {
    match failure.exit() {
        Exit::Unavailable => failure.advise("See: docker logs nexus-redis"),
        _ => failure,
    }
}
