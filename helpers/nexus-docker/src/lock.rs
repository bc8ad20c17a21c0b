//! Locks for requests that run one at a time. They are files that only root and the group docker can open
//! (tmpfiles.d/nexus.conf): a user that can open a file can lock it, and so could block restores, proofs and the healing of
//! Redis.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use nexus_cli::failure::Exit;
use nix::fcntl::{Flock, FlockArg};

use crate::asker::Asker;
use crate::run::Trouble;

/// For requests that change Redis's data, or restart Redis.
pub const REDIS: &str = "/run/nexus-locks/redis";

/// For requests that run or remove throwaway servers.
pub const THROWAWAY: &str = "/run/nexus-locks/throwaway";

/// How often to try a lock while waiting for it.
const AGAIN: Duration = Duration::from_millis(100);

/// Takes the lock of file `path`, and waits for it no longer than `patience`. It ends with the process. If another process
/// holds it, tells the asker `refusal`.
///
/// # Errors
/// `Failed` with 75 when another process holds it; also when the file does not exist, or the asker is gone.
pub fn take(path: &Path, patience: Duration, asker: &Asker, refusal: &str) -> Result<Flock<File>, Trouble> {
    let mut file = File::open(path).map_err(|e| {
        Trouble::NotRun(format!(
            "opening the lock {}: {e}. Make it with: systemd-tmpfiles --create nexus.conf",
            path.display()
        ))
    })?;
    let deadline = Instant::now() + patience;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((unlocked, _)) if Instant::now() < deadline => file = unlocked,
            Err(_) => {
                asker.say(&format!("error: {refusal}"));
                return Err(Trouble::Failed(i32::from(Exit::TryLater as u8)));
            }
        }
        if asker.goes_within(AGAIN) {
            return Err(Trouble::HungUp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_waits_no_longer_than_it_has_patience() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let asker = Asker::new(std::os::unix::net::UnixStream::pair().unwrap().0);
        assert!(matches!(take(&path, Duration::ZERO, &asker, "busy"), Err(Trouble::NotRun(_))));
        std::fs::write(&path, "").unwrap();
        let first = take(&path, Duration::ZERO, &asker, "busy").unwrap();
        assert!(matches!(take(&path, Duration::ZERO, &asker, "busy"), Err(Trouble::Failed(75))));
        drop(first);
        assert!(take(&path, Duration::ZERO, &asker, "busy").is_ok());
    }
}
