//! Restores Redis's snapshot, after the swap.

use std::io::Read;

use nexus_cli::credentials;
use nexus_cli::failure::{Failure, Result};
use nexus_cli::text::counted;
use nexus_docker_client::client::Client;
use nexus_docker_client::protocol::Request;
use nexus_redis::copies;

use crate::apply::Restore;
use crate::apply::forget::Forgotten;

/// Returns whether to restore Redis: only with a swap, if the set has a snapshot and nexus-docker is there.
pub(crate) fn is_wanted(restore: &mut Restore<'_>) -> bool {
    if restore.making.manifest.redis.is_none() || restore.args.into.is_some() || restore.args.no_redis {
        return false;
    }
    let can = restore.args.docker_socket.exists();
    if !can {
        let socket = restore.args.docker_socket.display();
        restore.making.note(format!("Redis was not restored: there is no nexus-docker at {socket}"));
    }
    can
}

/// Replaces Redis's data with the snapshot, then deletes the copies of episodes that the purge ledger forbids. Returns where
/// nexus-docker keeps the old data.
pub(crate) fn send(
    restore: &mut Restore<'_>,
    snapshot: &mut dyn Read,
    forgotten: &Forgotten,
) -> Result<String> {
    restore.making.progress.doing("restoring Redis");
    let docker = Client::at(&restore.args.docker_socket).stopping(restore.making.stop);
    let said = docker.send(&Request::RedisRestore {}, snapshot)?;
    let prefixes = restore.args.redis_copies.prefixes();
    if let Some(forbidden) = forgotten.forbidden.as_ref().filter(|_| !prefixes.is_empty()) {
        let is_forbidden = |id: &str| forbidden.contains(id);
        let (socket, password) = (&restore.args.redis_socket, credentials::read("redis_password")?);
        let gone = copies::forget(socket, &password, &prefixes, is_forbidden, restore.making.stop)?;
        if gone > 0 {
            restore.making.note(format!(
                "deleted {} of forgotten episodes in Redis's snapshot again",
                counted(gone, "copy")
            ));
        }
    }
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}

/// Makes the failure for a Redis that was not restored after the swap.
pub(crate) fn after_the_swap(failure: &Failure) -> Failure {
    Failure::new(failure.exit(), "the database is restored and in place, but Redis was not restored")
        .because(failure.to_string())
        .advise("Correct the cause and run the command again, or swap back with: nexus-restore undo")
}
