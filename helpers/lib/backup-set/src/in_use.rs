//! Keeps a set from being removed during a restore: its reader holds a shared lock on its directory, which ends with
//! the process, and rotation skips it.

use std::path::Path;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_fs::files;
use nexus_fs::lock::Lease;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// While this lives the set is not removed.
#[derive(Debug)]
pub struct InUse {
    /// `None` if the file system has no locks.
    _lease: Option<Lease>,
}

/// Keeps the set at `path` from being removed.
///
/// # Errors
/// I/O; TryLater (75) when it is being removed.
pub fn hold(path: &Path) -> Result<InUse> {
    let doing = || format!("protecting the set {} from removal", path.display());
    match Flock::lock(files::open_directory(path).or_fail_io(doing)?, FlockArg::LockSharedNonblock) {
        Ok(lock) => Ok(InUse { _lease: Some(Lease::new(lock)) }),
        Err((_, Errno::EWOULDBLOCK)) => Err(Failure::new(Exit::TryLater, doing())
            .because("it is being removed")
            .advise("Take another one: nexus-restore list")),
        Err(_) => Ok(InUse { _lease: None }),
    }
}

/// The right to remove the set at `path`; `None` while it is in use.
///
/// # Errors
/// I/O.
pub fn claim(path: &Path) -> Result<Option<InUse>> {
    let doing = || format!("checking whether the set {} is being restored", path.display());
    match Flock::lock(files::open_directory(path).or_fail_io(doing)?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(InUse { _lease: Some(Lease::new(lock)) })),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err(_) => Ok(Some(InUse { _lease: None })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_is_read_by_two_is_free_when_both_have_ended() {
        let set = tempfile::tempdir().unwrap();
        let (one, other) = (hold(set.path()).unwrap(), hold(set.path()).unwrap());
        drop(one);
        assert!(claim(set.path()).unwrap().is_none());
        drop(other);
        let removing = claim(set.path()).unwrap();
        assert!(removing.is_some());
        assert_eq!(hold(set.path()).unwrap_err().exit(), Exit::TryLater);
    }
}
