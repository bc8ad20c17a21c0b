//! The byte stream of a connection, a Unix socket or TCP. Reads and writes check for a stop.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nexus_cli::failure::Result;
use nexus_cli::stop::Stop;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::failure::unreachable;
use crate::server::Server;

/// How long a read or write waits before it checks for a stop.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    pub(crate) fn connect(server: &Server) -> Result<Self> {
        let opened = if server.is_local() {
            UnixStream::connect(server.address()).and_then(|s| {
                s.set_read_timeout(Some(CHECK_INTERVAL))?;
                s.set_write_timeout(Some(CHECK_INTERVAL)).map(|()| Self::Unix(s))
            })
        } else {
            TcpStream::connect((server.settings.host.as_str(), server.settings.port)).and_then(|s| {
                s.set_read_timeout(Some(CHECK_INTERVAL))?;
                s.set_write_timeout(Some(CHECK_INTERVAL)).map(|()| Self::Tcp(s))
            })
        };
        opened.map_err(|e| {
            unreachable(format!("connecting to PostgreSQL at {}", server.address()), e.to_string())
        })
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// `Interrupted` when the job must stop.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8], stop: &Stop) -> io::Result<()> {
        while !bytes.is_empty() {
            stopped(stop)?;
            let written = match self {
                Self::Unix(s) => s.write(bytes),
                Self::Tcp(s) => s.write(bytes),
            };
            match written {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if is_pause(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Returns whether unread input is available. Does not wait.
    pub(crate) fn has_input(&self) -> io::Result<bool> {
        let readable = |fd| {
            let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
            Ok(poll(&mut fds, PollTimeout::ZERO)? > 0)
        };
        match self {
            Self::Unix(s) => readable(s.as_fd()),
            Self::Tcp(s) => readable(s.as_fd()),
        }
    }

    /// Reads at least one byte.
    ///
    /// # Errors
    /// `Interrupted` when the job must stop, `UnexpectedEof` when the server closed the connection.
    pub(crate) fn read_some(&mut self, buffer: &mut [u8], stop: &Stop) -> io::Result<usize> {
        loop {
            // Before every read: a server that sends without a pause must not delay the stop.
            stopped(stop)?;
            let read = match self {
                Self::Unix(s) => s.read(buffer),
                Self::Tcp(s) => s.read(buffer),
            };
            match read {
                Ok(0) => {
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
                }
                Ok(n) => return Ok(n),
                Err(e) if is_pause(&e) => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// Returns whether the error is only a timeout or an interruption.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn stopped(stop: &Stop) -> io::Result<()> {
    if stop.is_set() { Err(io::Error::new(ErrorKind::Interrupted, "stopped")) } else { Ok(()) }
}
