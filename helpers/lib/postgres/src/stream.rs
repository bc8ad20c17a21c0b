//! A connection's byte stream: a Unix socket or TCP, read in pieces so that a stop is noticed.

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

/// How long a read or write waits before it looks whether the job is to stop.
const GLANCE: Duration = Duration::from_millis(250);

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
                s.set_read_timeout(Some(GLANCE))?;
                s.set_write_timeout(Some(GLANCE)).map(|()| Self::Unix(s))
            })
        } else {
            TcpStream::connect((server.settings.host.as_str(), server.settings.port)).and_then(|s| {
                s.set_read_timeout(Some(GLANCE))?;
                s.set_write_timeout(Some(GLANCE)).map(|()| Self::Tcp(s))
            })
        };
        opened.map_err(|e| {
            unreachable(format!("connecting to PostgreSQL at {}", server.address()), e.to_string())
        })
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// `Interrupted` when the job is to stop.
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

    /// Whether the server has said something that was not read yet. It does not wait.
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

    /// Reads some bytes, at least one.
    ///
    /// # Errors
    /// `Interrupted` when the job is to stop, `UnexpectedEof` when the server closed.
    pub(crate) fn read_some(&mut self, buffer: &mut [u8], stop: &Stop) -> io::Result<usize> {
        loop {
            // At every turn: a server that sends without a pause must not delay the stop.
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

/// Whether a call only waited as long as it may.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn stopped(stop: &Stop) -> io::Result<()> {
    if stop.is_set() { Err(io::Error::new(ErrorKind::Interrupted, "stopped")) } else { Ok(()) }
}
