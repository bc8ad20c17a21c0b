//! One writer at a time: each writer holds a flock on `.lock` in the directory.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::files;

/// The interval between two tries to take a lock.
const INTERVAL: Duration = Duration::from_millis(20);

/// The most bytes to read of the holder's name.
const LONGEST: u64 = 1 << 10;

/// A lock that is released on drop, or when the process is killed.
#[derive(Debug)]
pub struct Lock {
    _lease: Lease,
}

/// A flock that is released on drop. If that fails, the end of the process releases it; a `Flock`
/// would panic.
#[derive(Debug)]
pub struct Lease(Option<Flock<File>>);

impl Lease {
    /// Wraps `lock`.
    pub fn new(lock: Flock<File>) -> Self {
        Self(Some(lock))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(Err((lock, _))) = self.0.take().map(Flock::unlock) {
            std::mem::forget(lock);
        }
    }
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

    /// Like [`Self::take_within`], with another lock file than the directory's.
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
        // If root creates it, it belongs to the directory's owner, so that the unit can take the
        // lock afterwards.
        let file = files::open_or_create(path, 0o600).or_fail_io(doing)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut held) => {
                held.set_len(0).and_then(|()| held.rewind()).or_fail_io(doing)?;
                write!(held, "{job}, process {}, since {}", std::process::id(), jiff::Timestamp::now())
                    .or_fail_io(doing)?;
                Ok(Self { _lease: Lease::new(held) })
            }
            Err((file, Errno::EWOULDBLOCK)) => {
                let mut holder = String::new();
                // The holder's name only helps; the lock is taken in any case.
                let _unread = file.take(LONGEST).read_to_string(&mut holder);
                let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
                Err(Failure::new(Exit::TryLater, doing())
                    .because(format!("held by {holder}"))
                    .advise("Wait until that has ended and run it again"))
            }
            Err((_, errno)) => Err(std::io::Error::from(errno)).or_fail_io(doing),
        }
    }
}
