//! Redis's part of a set: whether it is wanted, and its snapshot, which Redis itself sends over its socket.

use std::io::Read;
use std::path::Path;

use nexus_backup_set::REDIS;
use nexus_backup_set::manifest::Redis;
use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_fs::new_file::Stored;
use nexus_redis::facts;
use nexus_redis::snapshot::{Login, Snapshot};

use crate::args::WhenRedis;
use crate::pipeline;
use crate::staging::Staging;

pub(crate) use nexus_redis::facts::Facts;

/// How every RDB file begins.
const MAGIC: &[u8] = b"REDIS";

/// Bytes read at once.
const BUFFER: usize = 256 << 10;

/// What happens with Redis in a set.
pub(crate) enum Part {
    /// It is not wanted, or holds nothing that would be missed.
    NotWanted,
    /// Its snapshot will be taken.
    Wanted(Facts),
    /// It is wanted but cannot be read, for this reason; PostgreSQL is backed up all the same.
    Missing(String),
}

/// Reads what Redis holds.
///
/// # Errors
/// Only if Redis must be in the set: Unavailable (69) when it does not answer, Permission (77) when it refuses the password.
pub(crate) fn look(when: WhenRedis, socket: &Path) -> Result<Part> {
    if when == WhenRedis::No {
        return Ok(Part::NotWanted);
    }
    let facts = credentials::read("redis_password").and_then(|password| facts::read(socket, &password));
    match facts.map_err(advised) {
        Ok(facts) if when == WhenRedis::Yes || facts.some_key_lives_for_ever() => Ok(Part::Wanted(facts)),
        Ok(_) => Ok(Part::NotWanted),
        Err(failure) if when == WhenRedis::Yes => Err(failure),
        Err(failure) => Ok(Part::Missing(failure.to_string())),
    }
}

/// Whether a set may lack Redis because of this failure. A failure to write the set does not count.
pub(crate) fn is_bearable(when: WhenRedis, failure: &Failure, stop: &Stop) -> bool {
    when != WhenRedis::Yes && !stop.is_set() && matches!(failure.exit(), Exit::Unavailable | Exit::Permission)
}

/// Takes Redis's snapshot into the set.
///
/// # Errors
/// Redis's or the disk's.
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
    let mut head = Vec::new();
    let ((), passed) = pipeline::run(staging.seal(REDIS)?, REDIS, |intake| {
        let mut snapshot = Snapshot::ask(socket, Some(&login), stop).map_err(advised)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = snapshot.read(&mut buffer).or_fail_io(|| doing).map_err(advised)?;
            if read == 0 {
                return Ok(());
            }
            let missing = MAGIC.len().saturating_sub(head.len()).min(read);
            head.extend_from_slice(&buffer[..missing]);
            progress.advance(read as u64);
            intake.take(&buffer[..read])?;
        }
    })?;
    if head != MAGIC {
        return Err(Failure::new(Exit::Unavailable, doing).because("what Redis sent is no RDB file"));
    }
    let redis = Redis {
        version: facts.version.clone(),
        keys: facts.keys.clone(),
        bytes: passed.bytes,
        sha256: passed.sha256,
    };
    Ok((redis, passed.stored))
}

/// Where the cause of it is said.
fn advised(failure: Failure) -> Failure {
    match failure.exit() {
        Exit::Unavailable => failure.advise("See: docker logs nexus-redis"),
        _ => failure,
    }
}
