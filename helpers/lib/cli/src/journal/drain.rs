//! Waiting until journald has taken a process's last lines.
//!
//! journald finds out which unit a line is of by looking its process up in /proc, when it reads the line. Of a process that
//! has ended by then it knows no unit, and `journalctl -u` never shows the line (systemd issue 2913): on a busy machine that
//! would be the very line that says why a job failed.

use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

/// Bytes of the marker: more than a quarter of the least buffer that the kernel gives a socket (4.5 KiB or so), so that the
/// socket counts as full while the marker waits (`unix_writable` in net/unix/af_unix.c).
const MARKER: usize = 2048;

/// Waits until whoever reads the datagram socket at `path` has taken all that was sent to it before this call, from whatever
/// socket: a marker is sent after it, which journald's native protocol takes for a comment.
///
/// # Errors
/// When there is no such socket, or its reader does not get there within `limit`.
pub(super) fn wait(path: &Path, limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    let socket = UnixDatagram::unbound()?;
    // Raised to the least there is.
    setsockopt(&socket, sockopt::SndBuf, &0)?;
    // For a queue that is full.
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
    fn what_nobody_takes_is_waited_for_in_vain() {
        let (_directory, path, _reader) = reader();
        let failed = wait(&path, Duration::from_millis(50)).expect_err("nobody has read");
        assert_eq!(failed.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn it_ends_when_all_has_been_taken() {
        let (_directory, path, reader) = reader();
        let other = UnixDatagram::unbound().expect("a socket");
        other.send_to(b"a line", &path).expect("it is sent");
        let waits = thread::spawn(move || wait(&path, LONG));
        let mut buffer = [0; MARKER];
        // The line comes first, and while the marker is not taken the other waits.
        assert_eq!(reader.recv(&mut buffer).expect("the line"), 6);
        let mut readable = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut readable, PollTimeout::NONE), Ok(1));
        assert!(!waits.is_finished());
        assert_eq!(reader.recv(&mut buffer).expect("the marker"), MARKER);
        waits.join().expect("no panic").expect("it was taken");
        // A comment, of one line.
        assert!(
            buffer.starts_with(b"#") && buffer.iter().position(|&byte| byte == b'\n') == Some(MARKER - 1)
        );
    }

    #[test]
    fn no_socket_is_an_error_at_once() {
        let (directory, ..) = reader();
        assert_eq!(
            wait(&directory.path().join("none"), LONG).expect_err("nothing is there").kind(),
            ErrorKind::NotFound
        );
    }
}
