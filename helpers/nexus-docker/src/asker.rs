//! The connection to the one who asks: frames out, and noticing that nobody is there any more.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nexus_docker_client::protocol::{Frame, write_frame};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// What was waited for is there.
    Ready,
    /// The asker is gone.
    HungUp,
    /// The time is over.
    TooLate,
}

/// The one who asks.
pub struct Asker {
    socket: UnixStream,
    /// Held while a frame is written, so that frames of two threads do not mix.
    writing: Mutex<()>,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Asker {
    /// The asker at the other end of `socket`.
    pub fn new(socket: UnixStream) -> Self {
        let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { socket, writing: Mutex::new(()), sent, received }
    }

    /// Sends a frame of `kind` ([`write_frame`]).
    ///
    /// # Errors
    /// When the asker takes no more.
    pub fn frame(&self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let _lock = self.writing.lock();
        write_frame(&mut &self.socket, kind, payload)?;
        self.sent.fetch_add(payload.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Adds a line to what the asker sees as the command's standard error. Nobody to tell is no matter.
    pub fn say(&self, line: &str) {
        let _ = self.frame(b'e', format!("nexus-docker: {line}\n").as_bytes());
    }

    /// Sends the last frame. An asker that has gone needs none.
    pub fn end(&self, frame: &Frame) {
        let _lock = self.writing.lock();
        let _ = frame.write_to(&mut &self.socket);
    }

    /// Counts bytes that came in.
    pub fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How many bytes of payload went out, and how many of input came in.
    pub fn bytes(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    /// Whether the asker is gone now.
    pub fn is_gone(&self) -> bool {
        self.goes_within(Duration::ZERO)
    }

    /// Waits for `time`, or until the asker goes; whether it has gone.
    pub fn goes_within(&self, time: Duration) -> bool {
        wait(Some(self.socket.as_fd()), None, Some(Instant::now() + time)) == Wake::HungUp
    }

    /// Waits until `fd` can be read (or has ended), the asker goes, or `deadline` comes.
    pub fn wait(&self, fd: BorrowedFd<'_>, deadline: Option<Instant>) -> Wake {
        wait(Some(self.socket.as_fd()), Some(fd), deadline)
    }

    /// The first line of `from`, without its newline; what there is when it ends before.
    ///
    /// # Errors
    /// When the wait ended otherwise.
    pub fn line_of(&self, from: &mut (impl Read + AsFd), limit: Duration) -> Result<String, Wake> {
        let deadline = Instant::now() + limit;
        let mut line = Vec::new();
        let mut byte = [0];
        // Byte by byte: what follows the line belongs to someone else.
        while line.len() < 128 {
            match self.wait(from.as_fd(), Some(deadline)) {
                Wake::Ready => {}
                other => return Err(other),
            }
            match from.read(&mut byte) {
                Ok(1) if byte != *b"\n" => line.extend(byte),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

/// Waits until `fd` can be read (or has ended), the peer of `socket` hangs up, or `deadline` comes.
///
/// A Unix stream socket tells a half-close from a hang-up: after the peer's `shutdown(SHUT_WR)`, which ends
/// an input in order, poll(2) reports `POLLIN` and `POLLRDHUP`; `POLLHUP` comes only once both directions
/// are closed, that is when the peer has closed it or died. `POLLHUP` and `POLLERR` are always reported,
/// so no event is asked for, and a half-closed socket does not wake us again and again.
pub fn wait(socket: Option<BorrowedFd<'_>>, fd: Option<BorrowedFd<'_>>, deadline: Option<Instant>) -> Wake {
    let watched = socket.map(|socket| PollFd::new(socket, PollFlags::empty()));
    let awaited = fd.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    let is_watched = watched.is_some();
    let mut fds: Vec<PollFd> = watched.into_iter().chain(awaited).collect();
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match nix::poll::poll(&mut fds, timeout(left)) {
            Ok(0) if left.is_some_and(|left| left < LONGEST_POLL) => return Wake::TooLate,
            Ok(0) | Err(Errno::EINTR | Errno::EAGAIN) => {}
            Ok(_) if is_watched && fds[0].any().unwrap_or(true) => return Wake::HungUp,
            Ok(_) => return Wake::Ready,
            // Out of memory, or arguments that cannot be: what cannot be watched may not go on.
            Err(_) => return Wake::HungUp,
        }
    }
}

/// Longer waits are cut in pieces: poll(2) counts milliseconds in an int.
const LONGEST_POLL: Duration = Duration::from_secs(3600);

fn timeout(left: Option<Duration>) -> PollTimeout {
    let Some(left) = left else { return PollTimeout::NONE };
    // Rounded up: a wait of less than a millisecond would else be none, again and again.
    let left = (left + Duration::from_micros(999)).min(LONGEST_POLL);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests;
