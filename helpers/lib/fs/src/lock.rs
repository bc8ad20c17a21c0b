//! One writer at a time: each writer holds a flock on `.lock` in the directory.
//!
//! A writer also holds a lock of fcntl(2) on the same file. The flock keeps other writers out. The
//! second lock lets other programs ask whether a writer is at work: with flock(2) they would have to
//! take the lock to find out. `/proc/locks` is no substitute. It identifies a locked file only by
//! device and inode numbers, which a file of another user may share. And any user can make it long:
//! with 160,000 locks it takes a minute and a half to read, with ten times as many a hundred times as
//! long.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FlockArg, fcntl};
use nix::libc;

use crate::files;

/// The interval between two tries to take a lock.
const INTERVAL: Duration = Duration::from_millis(20);

/// The most bytes to read of the holder's name.
const LONGEST: u64 = 1 << 10;

/// A lock that is released on drop, or when the process is killed.
///
/// Closing the file releases both locks, the flock last. If the flock were released before, the next
/// holder could take it while the other lock is still there, and would never be seen.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes a flock of `file`, which ends when the file is closed.
///
/// # Errors
/// What flock(2) says: `EWOULDBLOCK` when another process holds one.
#[expect(deprecated, reason = "nix::fcntl::Flock unlocks before it closes, and panics when that fails")]
pub fn flock(file: &File, how: FlockArg) -> nix::Result<()> {
    nix::fcntl::flock(file.as_raw_fd(), how)
}

impl Lock {
    /// Takes the lock of `directory` for `job`. Waits at most `patience`.
    ///
    /// # Errors
    /// Those of [`Self::take`].
    pub fn take_within(directory: &Path, job: &str, patience: Duration) -> Result<Self> {
        Self::take_file_within(&directory.join(".lock"), job, patience)
    }

    /// Takes the lock of `directory` for `job`, without waiting.
    ///
    /// # Errors
    /// TryLater (75) with the name of the holder; I/O.
    pub fn take(directory: &Path, job: &str) -> Result<Self> {
        Self::take_file(&directory.join(".lock"), job)
    }

    /// Returns whether a process holds the lock of `directory`, without taking it.
    pub fn is_held(directory: &Path) -> bool {
        let Ok(file) = files::open(&directory.join(".lock")) else { return false };
        let mut lock = whole_file();
        let asked = fcntl(&file, FcntlArg::F_OFD_GETLK(&mut lock));
        asked.is_ok() && i32::from(lock.l_type) != libc::F_UNLCK
    }

    /// Like [`Self::take_within`], with the lock file `path`.
    ///
    /// # Errors
    /// Those of [`Self::take`].
    pub fn take_file_within(path: &Path, job: &str, patience: Duration) -> Result<Self> {
        let began = Instant::now();
        loop {
            match Self::take_file(path, job) {
                Err(failure) if failure.exit() == Exit::TryLater && began.elapsed() < patience => {
                    thread::sleep(INTERVAL);
                }
                outcome => return outcome,
            }
        }
    }

    fn take_file(path: &Path, job: &str) -> Result<Self> {
        let doing = || format!("locking {}", path.display());
        // `open_or_create` gives a new file the directory's owner, so that after root the unit can
        // take the lock.
        let mut file = files::open_or_create(path, 0o600).or_fail_io(doing)?;
        match flock(&file, FlockArg::LockExclusiveNonblock) {
            Ok(()) => {
                // Without it, as on a file system that has no such locks, nobody sees the flock.
                let _unseen = fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file()));
                file.set_len(0).and_then(|()| file.rewind()).or_fail_io(doing)?;
                write!(file, "{job}, process {}, since {}", std::process::id(), jiff::Timestamp::now())
                    .or_fail_io(doing)?;
                Ok(Self { _file: file })
            }
            Err(Errno::EWOULDBLOCK) => {
                let mut holder = String::new();
                // The holder's name only helps; the lock is taken in any case.
                let _unread = file.take(LONGEST).read_to_string(&mut holder);
                let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
                Err(Failure::new(Exit::TryLater, doing())
                    .because(format!("held by {holder}"))
                    .advise("Wait until that process has ended, then run the command again"))
            }
            Err(errno) => Err(std::io::Error::from(errno)).or_fail_io(doing),
        }
    }
}

/// Describes a lock to write the whole file.
#[expect(clippy::cast_possible_truncation, reason = "the constants are small")]
fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_seen_and_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!Lock::is_held(directory.path()), "there is no file");
        let lock = Lock::take(directory.path(), "a test").unwrap();
        assert!(Lock::is_held(directory.path()));
        assert!(Lock::is_held(directory.path()), "to ask changes nothing");
        drop(lock);
        assert!(!Lock::is_held(directory.path()));
        let _again = Lock::take(directory.path(), "a test").unwrap();
    }

    #[test]
    fn a_lock_taken_while_another_process_releases_it_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let take_often = || {
            for _ in 0..2000 {
                if let Ok(_lock) = Lock::take(directory.path(), "a test") {
                    assert!(Lock::is_held(directory.path()));
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(take_often);
            }
        });
    }

    #[test]
    fn a_lock_of_another_file_is_not_this_one() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        drop(Lock::take(ours.path(), "a test").unwrap());
        let _theirs = Lock::take(theirs.path(), "a test").unwrap();
        assert!(!Lock::is_held(ours.path()));
    }
}
