//! Prevents the removal of a set during a restore. The reader holds a shared lock on the set's
//! directory until its process ends, and rotation skips the set.

use std::path::Path;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_fs::files;
use nexus_fs::lock::Lease;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// A guard: the set is not removed while this exists.
#[derive(Debug)]
pub struct InUse {
    /// `None` if the file system has no locks.
    _lease: Option<Lease>,
}

/// Protects the set at `path` from removal.
///
/// # Errors
/// I/O; TryLater (75) when it is being removed.
pub fn hold(path: &Path) -> Result<InUse> {
    let doing = || format!("protecting the set {} from removal", path.display());
    match Flock::lock(files::open_directory(path).or_fail_io(doing)?, FlockArg::LockSharedNonblock) {
        Ok(lock) => Ok(InUse { _lease: Some(Lease::new(lock)) }),
        Err((_, Errno::EWOULDBLOCK)) => Err(Failure::new(Exit::TryLater, doing())
            .because("it is being removed")
            .advise("Use another set: nexus-restore list")),
        Err(_) => Ok(InUse { _lease: None }),
    }
}

/// Takes the exclusive lock to remove the set at `path`; `None` while the set is in use.
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
    fn a_set_with_two_readers_is_free_after_both_end() {
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
