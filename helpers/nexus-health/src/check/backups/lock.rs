//! Whether somebody holds the lock of the backup directory, without touching it: a look may not make a backup fail.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// By the kernel's list of locks (proc(5), `/proc/locks`).
pub(super) fn is_held(path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    lists(&locks, metadata.ino())
}

/// `1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF`; the device is left out, since what stat(2) says of it differs on
/// some file systems.
fn lists(locks: &str, inode: u64) -> bool {
    locks.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_flock = words.next() == Some("FLOCK");
        let file = words.nth(3).and_then(|file| file.rsplit(':').next()).and_then(|inode| inode.parse().ok());
        is_flock && file == Some(inode)
    })
}

#[cfg(test)]
mod tests {
    use nexus_fs::lock::Lock;

    use super::*;

    #[test]
    fn a_lock_is_seen_while_it_is_held_and_not_after() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".lock");
        assert!(!is_held(&path));
        let lock = Lock::take(directory.path(), "a test").unwrap();
        assert!(is_held(&path));
        drop(lock);
        assert!(!is_held(&path));
    }

    #[test]
    fn only_such_locks_count() {
        let line =
            "2: POSIX  ADVISORY  WRITE 12 fd:00:77 0 EOF\n3: -> FLOCK  ADVISORY  WRITE 12 fd:00:77 0 EOF\n";
        assert!(!lists(line, 77));
        assert!(lists("3: FLOCK  ADVISORY  WRITE 12 fd:00:77 0 EOF\n", 77));
    }
}
