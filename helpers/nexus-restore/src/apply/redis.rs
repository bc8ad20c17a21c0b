//! Redis's snapshot: compared with the manifest before anything is replaced, sent after the swap.

use std::io::Read;

use nexus_core::docker::protocol::Request;
use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::set::hashing::Hasher;
use nexus_core::set::{REDIS, open};

use crate::apply::{Restore, archive};

/// Whether Redis is restored too: with a swap, when the set holds it and nexus-docker can do it.
pub(crate) fn is_wanted(restore: &mut Restore<'_>) -> bool {
    if restore.manifest.redis.is_none() || restore.args.into.is_some() || restore.args.no_redis {
        return false;
    }
    let can = restore.args.docker_socket.exists();
    if !can {
        let socket = restore.args.docker_socket.display();
        restore.note(format!("Redis was not restored: there is no nexus-docker at {socket}"));
    }
    can
}

/// Reads the snapshot once to compare it, and opens it again: rotation may remove the set meanwhile, but not what is open.
///
/// # Errors
/// Data (65) when it is not what the manifest says.
pub(crate) fn check(restore: &Restore<'_>) -> Result<Box<dyn Read + Send>> {
    let path = restore.set.path.join(REDIS);
    let identities = restore.unlock.identities()?;
    let mut input = open::open(&path, &identities)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    loop {
        restore.stop.check()?;
        let read = input.read(&mut buffer).map_err(|cause| open::damaged(&path, cause))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
        restore.progress.advance(0);
    }
    let digest = hasher.finish();
    match &restore.manifest.redis {
        Some(redis) if redis.sha256 == digest && redis.bytes == bytes => open::open(&path, &identities),
        _ => Err(Failure::new(Exit::Data, format!("comparing {}", path.display()))
            .because(format!("it holds {bytes} bytes, SHA-256 {digest}, which is not what the manifest says"))
            .advise("Give --no-redis to restore the database alone")),
    }
}

/// Puts the snapshot in the place of Redis's data; gives what nexus-docker says of where the old data is kept.
///
/// # Errors
/// nexus-docker's.
pub(crate) fn send(restore: &Restore<'_>, snapshot: &mut dyn Read) -> Result<String> {
    restore.progress.doing("restoring Redis");
    let said = archive::client(restore).send(&Request::RedisRestore {}, snapshot)?;
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}

/// A failure when the database has its place already.
pub(crate) fn after_the_swap(failure: &Failure) -> Failure {
    Failure::new(failure.exit(), "the database was restored and has its place, but Redis was not restored")
        .because(failure.to_string())
        .advise("Mend that and run this again, or go back with: nexus-restore undo")
}
