//! Tests Redis's snapshot: loads it into a throwaway Redis and compares that with the snapshot. Then deletes the copies that the
//! purge ledger forbids, as a restore does.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use nexus_backup_set::manifest::Redis;
use nexus_backup_set::{REDIS, open};
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::text::counted;
use nexus_docker_client::client::Client;
use nexus_docker_client::protocol::Request;
use nexus_rdb::Summary;
use nexus_redis::content::summarize;
use nexus_redis::snapshot::{Login, Snapshot};
use nexus_redis::{copies, facts};
use nexus_restoring::forget::Forbidden;
use nexus_restoring::{Restoring, redis};
use secrecy::SecretString;

use crate::args::Args;
use crate::resources;
use crate::scratch::password_line;

/// Keys that expire sooner are not compared: they may expire while the test runs.
const SOON: SignedDuration = SignedDuration::from_hours(2);

/// The result of the test.
pub(crate) struct Tested {
    /// The contents of the throwaway Redis.
    pub(crate) summary: Summary,
    /// Number of deleted copies; `None` if nothing was ever forgotten.
    pub(crate) forgotten: Option<u64>,
}

/// Restores and compares Redis, and forgets again what is `forbidden`. Returns `None` for a set without Redis.
///
/// # Errors
/// Data (65) if something differs; Unavailable (69) if the throwaway Redis does not start.
pub(crate) fn test(
    args: &Args,
    making: &mut Restoring<'_>,
    password: &SecretString,
    forbidden: Option<&Forbidden>,
) -> Result<Option<Tested>> {
    let Some(redis) = making.manifest.redis.clone() else { return Ok(None) };
    let cutoff = Timestamp::now().checked_add(SOON).or_fail(Exit::Software, || "reading the clock")?;
    let mut snapshot = redis::check(making)?;
    let expected =
        summarize(open::open(&making.set.path.join(REDIS), &making.unlock.identities()?)?, cutoff)?;
    require_counts(&redis, &expected)?;

    let request = Request::ScratchRedis { bytes: redis.bytes, memory_mib: resources::memory(args.memory)? };
    let line = password_line(password);
    let mut input = line.as_slice().chain(&mut *snapshot);
    let (lease, _) = Client::at(&args.docker_socket).stopping(making.stop).lease(&request, &mut input)?;
    let login = Login { user: None, password: password.clone() };
    let socket = args.scratch_dir.join("redis.sock");
    let version = facts::read(&socket, &login.password)?.version;
    making.progress.doing("comparing Redis");
    let answer = Snapshot::ask(&socket, Some(&login), making.stop)?;
    let found = summarize(answer, cutoff)?;
    let forgotten =
        forbidden.map(|forbidden| forget_again(args, making, &socket, password, forbidden)).transpose();
    lease.end()?;
    if Timestamp::now() > cutoff {
        return Err(Failure::new(Exit::TryLater, "comparing Redis").because("it took longer than two hours"));
    }
    match difference(&expected, &found) {
        None => {}
        Some(Difference::OfDigest(what)) if !same_release(&redis.version, &version) => {
            making.note(format!(
                "Redis {version} stores the data of Redis {} in another form: {what}",
                redis.version
            ));
        }
        Some(Difference::OfCount(what) | Difference::OfDigest(what)) => {
            return Err(Failure::new(Exit::Data, "comparing what was restored").because(what));
        }
    }
    Ok(Some(Tested { summary: found, forgotten: forgotten? }))
}

/// Deletes the forbidden copies and checks that none remains; returns their number.
fn forget_again(
    args: &Args,
    making: &Restoring<'_>,
    socket: &Path,
    password: &SecretString,
    forbidden: &Forbidden,
) -> Result<u64> {
    making.progress.doing("forgetting again in Redis");
    let prefixes = args.redis_copies.prefixes();
    let forget = || copies::forget(socket, password, &prefixes, |id| forbidden.contains(id), making.stop);
    let gone = forget()?;
    match forget()? {
        0 => Ok(gone),
        left => Err(Failure::new(Exit::Data, "forgetting again in Redis what the purge ledger forbids")
            .because(format!("it did not delete {}", counted(left, "copy")))
            .advise("Restoring this set would bring them back: please report this")),
    }
}

/// Checks the snapshot's databases against the manifest. It may hold fewer keys, because some have expired or soon will, but no
/// other databases.
fn require_counts(redis: &Redis, expected: &Summary) -> Result<()> {
    let unknown = expected.databases.keys().find(|number| !redis.keys.contains_key(number));
    match unknown {
        None => Ok(()),
        Some(number) => Err(Failure::new(Exit::Data, "reading Redis's snapshot")
            .because(format!("it holds database {number}, which the manifest does not have"))),
    }
}

/// A difference, in words.
enum Difference {
    /// The numbers of keys differ, by type or with a time to live.
    OfCount(String),
    /// The digests of the contents of keys differ.
    OfDigest(String),
}

/// Returns whether two versions store data in the same form. Redis 7.0 and 7.2 store more of a stream than before, and 7.4
/// more of a hash.
fn same_release(one: &str, other: &str) -> bool {
    let release = |version: &str| version.splitn(3, '.').take(2).map(str::to_owned).collect::<Vec<_>>();
    release(one) == release(other)
}

/// Returns the first difference.
fn difference(expected: &Summary, found: &Summary) -> Option<Difference> {
    let numbers: BTreeSet<&u32> = expected.databases.keys().chain(found.databases.keys()).collect();
    for number in numbers {
        let (was, is) = (expected.databases.get(number), found.databases.get(number));
        let (was, is) = (was.cloned().unwrap_or_default(), is.cloned().unwrap_or_default());
        if was.by_type != is.by_type || was.with_ttl != is.with_ttl {
            return Some(Difference::OfCount(format!(
                "database {number} of Redis holds {:?}, {} with a time to live; the snapshot holds {:?}, {}",
                is.by_type, is.with_ttl, was.by_type, was.with_ttl
            )));
        }
        if was != is {
            return Some(Difference::OfDigest(format!(
                "database {number} of Redis: digest of all keys, values and times to live {}; of the snapshot {}",
                is.keys.digest, was.keys.digest
            )));
        }
    }
    let functions = "Redis's functions differ from those in the snapshot";
    (expected.functions != found.functions).then(|| Difference::OfDigest(functions.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_release_writes_the_same_form() {
        assert!(same_release("8.0.6", "8.0.7"));
        assert!(!same_release("8.0.6", "8.2.0"));
        assert!(!same_release("7.2.5", "8.0.0"));
    }
}
