//! The connection to the client: sends frames, and notices a hang-up.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nexus_docker_client::frame::{Frame, Stream};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::error::RunError;

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The file descriptor is readable.
    Ready,
    /// The peer closed the connection.
    HungUp,
    /// The deadline came.
    TimedOut,
}

/// The client at the other end of the connection.
pub struct Peer {
    socket: UnixStream,
    /// Locked while a frame is written, so that frames of two threads do not mix.
    writing: Mutex<()>,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Peer {
    /// Makes the peer at the other end of `socket`.
    pub fn new(socket: UnixStream) -> Self {
        let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { socket, writing: Mutex::new(()), sent, received }
    }

    /// Sends a frame. A peer that has hung up is no error here; the waits notice it.
    pub fn send(&self, frame: &Frame<'_>) {
        let _lock = self.writing.lock();
        let written = frame.write_to(&mut &self.socket);
        if let (Ok(()), Frame::Output(_, bytes)) = (written, frame) {
            self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
    }

    /// Sends `line` as the request's standard output.
    pub fn print(&self, line: &str) {
        self.send(&Frame::Output(Stream::Stdout, format!("{line}\n").as_bytes()));
    }

    /// Adds `line` to the request's standard error.
    pub fn report(&self, line: &str) {
        self.send(&Frame::Output(Stream::Stderr, format!("nexus-docker: {line}\n").as_bytes()));
    }

    /// Counts bytes of input.
    pub fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns how many bytes of output were sent and how many bytes of input were received.
    pub fn bytes(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    /// Returns whether the peer has hung up.
    pub fn has_hung_up(&self) -> bool {
        self.hangs_up_within(Duration::ZERO)
    }

    /// Waits for `time` or a hang-up; returns whether the peer has hung up.
    pub fn hangs_up_within(&self, time: Duration) -> bool {
        wait(Some(self.socket.as_fd()), None, Some(Instant::now() + time)) == Wake::HungUp
    }

    /// Waits until `fd` is readable (or at its end), the peer hangs up, or `deadline` comes.
    pub fn wait(&self, fd: BorrowedFd<'_>, deadline: Option<Instant>) -> Wake {
        wait(Some(self.socket.as_fd()), Some(fd), deadline)
    }

    /// Reads the first line of `from`, without its newline, or all of `from` if it ends before.
    ///
    /// # Errors
    /// When the peer hangs up, or after `limit`.
    pub fn line_of(&self, from: &mut (impl Read + AsFd), limit: Duration) -> Result<String, RunError> {
        let deadline = Instant::now() + limit;
        let mut line = Vec::new();
        let mut byte = [0];
        // Byte by byte: what follows the line belongs to another reader.
        while line.len() < 128 {
            match self.wait(from.as_fd(), Some(deadline)) {
                Wake::Ready => {}
                Wake::HungUp => return Err(RunError::HungUp),
                Wake::TimedOut => return Err(RunError::TimedOut(limit)),
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

/// Waits until `fd` is readable (or at its end), the peer of `socket` hangs up, or `deadline` comes.
///
/// A Unix stream socket distinguishes a half-close from a hang-up: after the peer's `shutdown(SHUT_WR)`, which ends the input,
/// poll(2) reports `POLLIN` and `POLLRDHUP`; `POLLHUP` comes only once both directions are closed, that is when the peer has
/// closed the socket or died. poll(2) always reports `POLLHUP` and `POLLERR`, so no event is requested, and a half-closed
/// socket does not wake us repeatedly.
pub fn wait(socket: Option<BorrowedFd<'_>>, fd: Option<BorrowedFd<'_>>, deadline: Option<Instant>) -> Wake {
    let watched = socket.map(|socket| PollFd::new(socket, PollFlags::empty()));
    let awaited = fd.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    let is_watched = watched.is_some();
    let mut fds: Vec<PollFd> = watched.into_iter().chain(awaited).collect();
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match nix::poll::poll(&mut fds, timeout(left)) {
            Ok(0) if left.is_some_and(|left| left < LONGEST_POLL) => return Wake::TimedOut,
            Ok(0) | Err(Errno::EINTR | Errno::EAGAIN) => {}
            Ok(_) if is_watched && fds[0].any().unwrap_or(true) => return Wake::HungUp,
            Ok(_) => return Wake::Ready,
            // Out of memory, or invalid arguments: what cannot be watched may not continue.
            Err(_) => return Wake::HungUp,
        }
    }
}

/// The longest single wait; longer ones are split, because poll(2) counts milliseconds in an int.
const LONGEST_POLL: Duration = Duration::from_secs(3600);

fn timeout(left: Option<Duration>) -> PollTimeout {
    let Some(left) = left else { return PollTimeout::NONE };
    // Rounded up, or a wait of less than a millisecond would be a busy loop.
    let left = (left + Duration::from_micros(999)).min(LONGEST_POLL);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests;
