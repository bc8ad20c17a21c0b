//! One at a time. The locks are files that only root and the group docker can open (tmpfiles.d/nexus.conf): whoever can open a
//! file can lock it, and a lock that another user holds would keep restores, proofs and the healing of Redis from running.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use nexus_core::failure::Exit;
use nix::fcntl::{Flock, FlockArg};

use crate::asker::Asker;
use crate::run::Trouble;

/// Of whoever changes Redis's data, or restarts it.
pub const REDIS: &str = "/run/nexus-locks/redis";

/// Of whoever runs or removes throwaway servers.
pub const THROWAWAY: &str = "/run/nexus-locks/throwaway";

/// How often a lock is tried that is waited for.
const AGAIN: Duration = Duration::from_millis(100);

/// Takes the lock of file `path`, and waits for it no longer than `patience`. It ends with the process. Where another one has
/// it, `refusal` is said.
///
/// # Errors
/// `Failed` with 75 when another process has it; when there is no such file, or the asker goes.
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
