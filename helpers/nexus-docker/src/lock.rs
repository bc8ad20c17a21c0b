//! Locks for requests that run one at a time. Only root and the group docker can open their files (tmpfiles.d/nexus.conf): a
//! user who can open a file can lock it, and so could block restores, restore tests and the repair of Redis.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use nexus_cli::failure::Exit;
use nix::fcntl::{Flock, FlockArg};

use crate::error::RunError;
use crate::peer::Peer;

/// The lock of requests that change Redis's data, or restart Redis.
pub const REDIS: &str = "/run/nexus-locks/redis";

/// The lock of requests that run or remove throwaway servers.
pub const SCRATCH: &str = "/run/nexus-locks/throwaway";

/// The time between two attempts to take a lock.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Takes the lock of file `path`; waits for it for `timeout` at most. If another process holds it then, reports `conflict` to the
/// peer. The end of the process releases the lock.
///
/// # Errors
/// `Failed` with 75 when another process holds it, `NotRun` when the file cannot be opened, `HungUp`.
pub fn take(path: &Path, timeout: Duration, peer: &Peer, conflict: &str) -> Result<Flock<File>, RunError> {
    let mut file = File::open(path).map_err(|e| {
        RunError::NotRun(format!(
            "cannot open the lock {}: {e}. Create it with: systemd-tmpfiles --create nexus.conf",
            path.display()
        ))
    })?;
    let deadline = Instant::now() + timeout;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((unlocked, _)) if Instant::now() < deadline => file = unlocked,
            Err(_) => {
                peer.report(&format!("error: {conflict}"));
                return Err(RunError::Failed(i32::from(Exit::TryLater as u8)));
            }
        }
        if peer.hangs_up_within(RETRY_INTERVAL) {
            return Err(RunError::HungUp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_another_holds_is_refused_after_the_timeout() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let peer = Peer::new(std::os::unix::net::UnixStream::pair().unwrap().0);
        assert!(matches!(take(&path, Duration::ZERO, &peer, "busy"), Err(RunError::NotRun(_))));
        std::fs::write(&path, "").unwrap();
        let first = take(&path, Duration::ZERO, &peer, "busy").unwrap();
        assert!(matches!(take(&path, Duration::ZERO, &peer, "busy"), Err(RunError::Failed(75))));
        drop(first);
        assert!(take(&path, Duration::ZERO, &peer, "busy").is_ok());
    }
}
