//! The standard output of a command that nexus-docker runs, as a stream.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, OrFailIo, Refusal, Result};
use nexus_cli::stop::Stop;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::frame::{Frame, FrameReader, Stream, cut};

/// The advice of failures whose remedy is unknown here.
pub(crate) const SEE_JOURNAL: &str = "See: journalctl -u 'nexus-docker@*'";

/// The interval between two checks for a stop, in milliseconds.
const CHECK_INTERVAL: u16 = 250;

/// How long a command may run after it closed its input early.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes of standard error are kept, from its end.
const STDERR_LIMIT: usize = 8 << 10;

/// The standard output of a request's command.
///
/// `read` returns `Ok(0)` only after the command exited with status 0. The failure of a command, a
/// refusal and a closed connection are errors that carry a [`Failure`]; [`OrFailIo`] unwraps it.
/// Dropping this before the end closes the connection, and nexus-docker then kills the command.
pub struct CommandOutput {
    stream: UnixStream,
    doing: String,
    stop: Stop,
    frames: FrameReader,
    state: State,
    stderr: Vec<u8>,
    /// When a command that closed its input early must have exited.
    deadline: Option<Instant>,
}

#[derive(Clone, Copy)]
enum State {
    Running,
    Succeeded,
    Failed,
}

impl CommandOutput {
    pub(crate) fn new(stream: UnixStream, doing: String, stop: Stop) -> Self {
        let frames = FrameReader::default();
        Self { stream, doing, stop, frames, state: State::Running, stderr: Vec::new(), deadline: None }
    }

    /// Returns the last 8 KiB of standard error so far: warnings, if the command succeeded.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }

    /// Reads to the end and discards the rest of the standard output.
    ///
    /// # Errors
    /// Unavailable (69) when the command failed or was refused, or the connection closed early.
    pub fn finish(&mut self) -> Result<()> {
        let copied = io::copy(self, &mut io::sink());
        copied.map(drop).or_fail_io(|| &*self.doing)
    }

    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(crate) fn doing(&self) -> &str {
        &self.doing
    }

    /// Limits the rest of the run: a command that closed its input early has exited or is about to.
    pub(crate) fn expect_exit(&mut self) {
        self.deadline.get_or_insert_with(|| Instant::now() + EXIT_TIMEOUT);
    }

    /// Waits for one of `events`, checking for a stop in between.
    pub(crate) fn wait(&self, events: PollFlags) -> io::Result<PollFlags> {
        loop {
            self.stop.check().map_err(|failure| failure.while_doing(&self.doing))?;
            let mut fds = [PollFd::new(self.stream.as_fd(), events)];
            match nix::poll::poll(&mut fds, PollTimeout::from(CHECK_INTERVAL)) {
                Ok(0) | Err(Errno::EINTR) if self.deadline.is_some_and(|at| Instant::now() > at) => {
                    let limit = EXIT_TIMEOUT.as_secs();
                    return Err(self
                        .failure(format!("the command closed its input but did not exit within {limit} s")));
                }
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(fds[0].revents().unwrap_or(PollFlags::empty())),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads what is available. Returns `None` if nothing is, and `Some(0)` after the command
    /// exited with status 0.
    pub(crate) fn read_available(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.next_output(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => {
                self.state = State::Failed;
                Err(match error.downcast::<Failure>() {
                    Ok(failure) => failure.into(),
                    Err(error) => self.failure(error.to_string()),
                })
            }
            Ok(got) => Ok(Some(got)),
        }
    }

    fn next_output(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.state {
                State::Running => {}
                State::Succeeded => return Ok(0),
                State::Failed => return Err(cut()),
            }
            match self.frames.next(&mut self.stream, buffer)? {
                Frame::Output(Stream::Stdout, bytes) => return Ok(bytes.len()),
                Frame::Output(Stream::Stderr, bytes) => {
                    self.stderr.extend_from_slice(bytes);
                    let excess = self.stderr.len().saturating_sub(STDERR_LIMIT);
                    self.stderr.drain(..excess);
                }
                Frame::Exit(0) => self.state = State::Succeeded,
                Frame::Exit(status) => return Err(self.exit_failure(status).into()),
                Frame::Refused(reason) => {
                    return Err(self.failure(format!("nexus-docker refused: {}", reason.trim())));
                }
            }
        }
    }

    fn failure(&self, cause: String) -> io::Error {
        Failure::new(Exit::Unavailable, &*self.doing).because(cause).advise(SEE_JOURNAL).into()
    }

    fn exit_failure(&self, status: i32) -> Failure {
        // nexus-docker's own steps exit with codes of sysexits(3); docker and the tools use none of
        // these.
        let exit = match status {
            65 => Exit::Data,
            73 => Exit::CannotCreate,
            75 => Exit::TryLater,
            _ => Exit::Unavailable,
        };
        let message = reason(&self.stderr(), status);
        let failure = Failure::new(exit, &*self.doing)
            .because(format!("exited with status {status}: {message}"))
            .advise(SEE_JOURNAL);
        // With status 1 the tool itself reports an error. A status above 128 means that a signal
        // killed it.
        if status == 1 { failure.refused_with(Refusal { message, ..Refusal::default() }) } else { failure }
    }
}

impl Read for CommandOutput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(got) = self.read_available(buffer)? {
                return Ok(got);
            }
            self.wait(PollFlags::POLLIN)?;
        }
    }
}

/// Returns the line that most likely says why the command failed: the last that contains "error",
/// because PostgreSQL's tools add the statement after it; else the last.
fn reason(stderr: &str, status: i32) -> String {
    let lines = || stderr.lines().rev().filter(|line| !line.trim().is_empty());
    let error = lines().find(|line| line.to_ascii_lowercase().contains("error"));
    match error.or_else(|| lines().next()) {
        Some(line) => line.to_owned(),
        None if status > 128 => format!("killed by signal {}", status - 128),
        None => "no error message".to_owned(),
    }
}
