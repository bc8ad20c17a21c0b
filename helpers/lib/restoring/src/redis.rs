//! Compares Redis's snapshot in the set with the manifest before its use.

use std::io::Read;

use nexus_backup_set::{REDIS, open};
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::pump::pump;
use nexus_digest::Hasher;

use crate::Restoring;

/// Reads the snapshot to compare it, then opens it again: rotation may remove the set in the
/// meantime, but an open file stays readable.
///
/// # Errors
/// Data (65) when it differs from the manifest.
pub fn check(restoring: &Restoring<'_>) -> Result<Box<dyn Read + Send>> {
    let path = restoring.set.path.join(REDIS);
    let identities = restoring.unlock.identities()?;
    let (mut hasher, mut bytes) = (Hasher::default(), 0);
    let read = pump(&mut open::open(&path, &identities)?, 256 << 10, |piece| {
        hasher.update(piece);
        bytes += piece.len() as u64;
        restoring.progress.advance(0);
        Ok(restoring.stop.check()?)
    });
    restoring.stop.check()?;
    read.map_err(|cause| open::damaged(&path, cause))?;
    let digest = hasher.finish();
    match &restoring.manifest.redis {
        Some(redis) if redis.sha256 == digest && redis.bytes == bytes => open::open(&path, &identities),
        _ => Err(Failure::new(Exit::Data, format!("comparing {}", path.display()))
            .because(format!("it holds {bytes} bytes, SHA-256 {digest}, which is not what the manifest says"))
            .advise("Give --no-redis to restore the database alone")),
    }
}
