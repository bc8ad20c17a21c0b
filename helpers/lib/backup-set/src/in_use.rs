//! Prevents the removal of a set during a restore. The reader holds a shared lock on the set's
//! directory until its process ends, and rotation skips the set.

use std::fs::File;
use std::path::Path;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_fs::files;
use nexus_fs::lock::flock;
use nix::errno::Errno;
use nix::fcntl::FlockArg;

/// A guard: the set is not removed while this exists.
#[derive(Debug)]
pub struct InUse {
    /// The set's directory, with a flock, unless the file system has none.
    _directory: File,
}

/// Protects the set at `path` from removal.
///
/// # Errors
/// I/O; TryLater (75) when it is being removed.
pub fn hold(path: &Path) -> Result<InUse> {
    let doing = || format!("protecting the set {} from removal", path.display());
    let directory = files::open_directory(path).or_fail_io(doing)?;
    match flock(&directory, FlockArg::LockSharedNonblock) {
        Err(Errno::EWOULDBLOCK) => Err(Failure::new(Exit::TryLater, doing())
            .because("it is being removed")
            .advise("Use another set: nexus-restore list")),
        Ok(()) | Err(_) => Ok(InUse { _directory: directory }),
    }
}

/// Takes the exclusive lock to remove the set at `path`; `None` while the set is in use.
///
/// # Errors
/// I/O.
pub fn claim(path: &Path) -> Result<Option<InUse>> {
    let doing = || format!("checking whether the set {} is being restored", path.display());
    let directory = files::open_directory(path).or_fail_io(doing)?;
    match flock(&directory, FlockArg::LockExclusiveNonblock) {
        Err(Errno::EWOULDBLOCK) => Ok(None),
        Ok(()) | Err(_) => Ok(Some(InUse { _directory: directory })),
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
