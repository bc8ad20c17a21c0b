//! Waits until journald has read a process's last lines.
//!
//! When journald reads a line, it looks the sending process up in /proc to find its unit. If the
//! process has exited by then, journald finds no unit, and `journalctl -u` never shows the line
//! (systemd issue 2913). On a busy machine that line is often the one that says why a job failed.

use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

/// The size of the marker in bytes. It exceeds a quarter of the smallest send buffer that the
/// kernel allows (about 4.5 KiB), so the socket is not writable while the marker is queued
/// (`unix_writable` in net/unix/af_unix.c).
const MARKER: usize = 2048;

/// Waits until the reader of the datagram socket at `path` has read everything that any socket sent
/// to it before this call. To do so it sends a marker, which is a comment in journald's native
/// protocol.
///
/// # Errors
/// The socket does not exist, or the reader does not reach the marker within `limit`.
pub(super) fn wait(path: &Path, limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    let socket = UnixDatagram::unbound()?;
    // The kernel raises it to its minimum.
    setsockopt(&socket, sockopt::SndBuf, &0)?;
    // `send` blocks while the receiver's queue is full.
    socket.set_write_timeout(Some(limit))?;
    socket.connect(path)?;
    let mut marker = [b'.'; MARKER];
    (marker[0], marker[MARKER - 1]) = (b'#', b'\n');
    socket.send(&marker)?;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut writable = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut writable, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Err(Error::from(ErrorKind::TimedOut)),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn reader() -> (tempfile::TempDir, std::path::PathBuf, UnixDatagram) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let reader = UnixDatagram::bind(&path).expect("a socket");
        (directory, path, reader)
    }

    #[test]
    fn waiting_for_a_reader_that_does_not_read_times_out() {
        let (_directory, path, _reader) = reader();
        let failed = wait(&path, Duration::from_millis(50)).expect_err("nobody has read");
        assert_eq!(failed.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn it_returns_when_the_reader_has_read_everything() {
        let (_directory, path, reader) = reader();
        let other = UnixDatagram::unbound().expect("a socket");
        other.send_to(b"a line", &path).expect("it is sent");
        let waits = thread::spawn(move || wait(&path, LONG));
        let mut buffer = [0; MARKER];
        // The line arrives first, and the call waits until the marker is read.
        assert_eq!(reader.recv(&mut buffer).expect("the line"), 6);
        let mut readable = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut readable, PollTimeout::NONE), Ok(1));
        assert!(!waits.is_finished());
        assert_eq!(reader.recv(&mut buffer).expect("the marker"), MARKER);
        waits.join().expect("no panic").expect("it was taken");
        // A comment of one line.
        assert!(
            buffer.starts_with(b"#") && buffer.iter().position(|&byte| byte == b'\n') == Some(MARKER - 1)
        );
    }

    #[test]
    fn a_missing_socket_is_an_error_at_once() {
        let (directory, ..) = reader();
        assert_eq!(
            wait(&directory.path().join("none"), LONG).expect_err("nothing is there").kind(),
            ErrorKind::NotFound
        );
    }
}
