//! Redis's part of a set: whether it is wanted, and its snapshot, which Redis itself sends over its socket.

mod facts;
mod replica;
mod reply;

use std::path::Path;

use nexus_core::credentials;
use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::progress::Progress;
use nexus_core::set::REDIS;
use nexus_core::set::manifest::Redis;
use nexus_core::set::seal::Stored;
use nexus_core::stop::Stop;

use crate::args::WhenRedis;
use crate::pipeline;
use crate::staging::Staging;

pub(crate) use facts::Facts;

/// How every RDB file begins.
const MAGIC: &[u8] = b"REDIS";

/// What Redis holds when it is to be backed up; `None` when it is not.
///
/// # Errors
/// Unavailable (69) when Redis does not answer: a set must not lack it without a word.
pub(crate) fn facts_if_wanted(when: WhenRedis, socket: &Path) -> Result<Option<Facts>> {
    if when == WhenRedis::No {
        return Ok(None);
    }
    let facts = facts::read(socket, &credentials::read("redis_password")?)?;
    let wanted = when == WhenRedis::Yes || facts.some_key_lives_for_ever();
    Ok(wanted.then_some(facts))
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
    let password = credentials::read("redis_password")?;
    let doing = "taking Redis's snapshot";
    progress.doing(doing);
    let mut head = Vec::new();
    let ((), passed) = pipeline::run(staging.seal(REDIS)?, REDIS, |intake| {
        replica::receive_snapshot(socket, &password, stop, |piece| {
            let missing = MAGIC.len().saturating_sub(head.len()).min(piece.len());
            head.extend_from_slice(&piece[..missing]);
            progress.advance(piece.len() as u64);
            intake.take(piece)
        })
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
