//! Reads whether the lock of the backup directory is held, without taking it, so that a check never makes a backup fail.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Returns whether the lock is held, from the kernel's list of locks (proc(5), `/proc/locks`).
pub(super) fn is_held(path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    lists(&locks, metadata.ino())
}

/// Parses `1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF`. Ignores the device, because stat(2) reports another one on some
/// file systems.
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
    fn a_held_lock_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".lock");
        assert!(!is_held(&path));
        let lock = Lock::take(directory.path(), "a test").unwrap();
        assert!(is_held(&path));
        drop(lock);
        assert!(!is_held(&path));
    }

    #[test]
    fn only_flock_locks_that_are_held_count() {
        let line =
            "2: POSIX  ADVISORY  WRITE 12 fd:00:77 0 EOF\n3: -> FLOCK  ADVISORY  WRITE 12 fd:00:77 0 EOF\n";
        assert!(!lists(line, 77));
        assert!(lists("3: FLOCK  ADVISORY  WRITE 12 fd:00:77 0 EOF\n", 77));
    }
}
