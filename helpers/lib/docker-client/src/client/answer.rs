//! The answer to one request, as a stream of the command's standard output.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, Refusal};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::state::{START, State, after_head, cut, invalid, read_some};
use super::{Check, LOOK};

/// How long a wait lasts before the check is called again, in milliseconds.
const TICK: u16 = 250;

/// How long one that takes no more input may go on.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of the command's standard error is kept: its end.
const KEPT_STDERR: usize = 8 << 10;

/// The standard output of what was asked for.
///
/// `read` gives `Ok(0)` only after the command ended with status 0. A command that failed, a refusal, and
/// a connection that was cut are errors that carry a [`Failure`](nexus_cli::failure::Failure) (see
/// [`failure_of`](super::failure_of)). Dropping an answer before its end hangs up, and the helper then
/// ends the command.
pub struct Answer {
    stream: UnixStream,
    doing: String,
    check: Check,
    state: State,
    stderr: Vec<u8>,
    /// When it must have ended, of one that takes no more input.
    by: Option<Instant>,
}

impl Answer {
    pub(super) fn new(stream: UnixStream, doing: String, check: Check) -> Self {
        Self { stream, doing, check, state: START, stderr: Vec::new(), by: None }
    }

    /// The end (8 KiB) of what the command said on its standard error so far: warnings, when it went well.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }

    /// Reads to the end, throwing away what is left of the standard output.
    ///
    /// # Errors
    /// Unavailable (69) when the command failed, was refused, or the connection was cut.
    pub fn finish(&mut self) -> nexus_cli::failure::Result<()> {
        let ended = io::copy(self, &mut io::sink());
        ended.map(drop).map_err(|error| super::failure_of(error, || &self.doing))
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// The other side takes no more input, so it has ended or is about to, and its answer says why.
    pub(super) fn must_end_soon(&mut self) {
        self.by.get_or_insert_with(|| Instant::now() + PATIENCE);
    }

    /// Waits until one of `events` is there, calling the check in between.
    pub(super) fn wait(&self, events: PollFlags) -> io::Result<PollFlags> {
        loop {
            (self.check)().map_err(|f| io::Error::other(f.while_doing(&self.doing)))?;
            let mut fds = [PollFd::new(self.stream.as_fd(), events)];
            match nix::poll::poll(&mut fds, PollTimeout::from(TICK)) {
                Ok(0) | Err(Errno::EINTR) if self.by.is_some_and(|by| Instant::now() > by) => {
                    return Err(io::Error::other(
                        Failure::new(Exit::Unavailable, &*self.doing)
                            .because("it takes no more input, and does not end")
                            .advise(LOOK),
                    ));
                }
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(fds[0].revents().unwrap_or(PollFlags::empty())),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads what is there now: `None` when more has to be waited for, `Some(0)` at the good end.
    pub(super) fn read_ready(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        match self.advance(buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => {
                self.state = State::Broken;
                if error.get_ref().and_then(|inner| inner.downcast_ref::<Failure>()).is_some() {
                    return Err(error);
                }
                let exit = Exit::Unavailable;
                Err(io::Error::other(Failure::new(exit, &*self.doing).because(error).advise(LOOK)))
            }
            Ok(got) => Ok(Some(got)),
        }
    }

    /// Goes on through the frames until there is standard output to give, or the end, or an error
    /// (`WouldBlock` when nothing more has come yet).
    fn advance(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.state {
                State::Done => return Ok(0),
                State::Broken => return Err(cut()),
                State::Head { bytes, have } if *have < bytes.len() => {
                    *have += read_some(&mut self.stream, &mut bytes[*have..])?;
                }
                State::Head { bytes, .. } => self.state = after_head(*bytes)?,
                State::Chunk { left: 0, .. } => self.state = START,
                State::Chunk { is_stdout: true, left } => {
                    let want = buf.len().min(*left);
                    if want == 0 {
                        return Ok(0);
                    }
                    let got = read_some(&mut self.stream, &mut buf[..want])?;
                    *left -= got;
                    return Ok(got);
                }
                State::Chunk { is_stdout: false, left } => {
                    let mut bytes = [0; 4096];
                    let want = bytes.len().min(*left);
                    let got = read_some(&mut self.stream, &mut bytes[..want])?;
                    *left -= got;
                    self.stderr.extend_from_slice(&bytes[..got]);
                    let excess = self.stderr.len().saturating_sub(KEPT_STDERR);
                    self.stderr.drain(..excess);
                }
                State::Last { left: 0, is_exit, payload } => {
                    let (is_exit, payload) = (*is_exit, std::mem::take(payload));
                    return self.end(is_exit, &payload);
                }
                State::Last { payload, left, .. } => {
                    let mut bytes = [0; 512];
                    let want = bytes.len().min(*left);
                    let got = read_some(&mut self.stream, &mut bytes[..want])?;
                    *left -= got;
                    payload.extend_from_slice(&bytes[..got]);
                }
            }
        }
    }

    fn end(&mut self, is_exit: bool, payload: &[u8]) -> io::Result<usize> {
        let failed = |exit, cause: String| Failure::new(exit, &*self.doing).because(cause).advise(LOOK);
        let failure = match payload.try_into().map(i32::from_be_bytes) {
            Ok(0) if is_exit => {
                self.state = State::Done;
                return Ok(0);
            }
            Ok(status) if is_exit => {
                // Steps of the helper's own end with sysexits; the tools and docker use none of these.
                let exit = match status {
                    65 => Exit::Data,
                    73 => Exit::CannotCreate,
                    75 => Exit::TryLater,
                    _ => Exit::Unavailable,
                };
                let message = reason(&self.stderr(), status);
                let failure = failed(exit, format!("it ended with status {status}: {message}"));
                // The tool's own word; more than 128 is an end from outside.
                if status == 1 {
                    failure.refused_with(Refusal { message, ..Refusal::default() })
                } else {
                    failure
                }
            }
            Err(_) if is_exit => return Err(invalid("an exit status that is not four bytes long")),
            _ => {
                let why = String::from_utf8_lossy(payload);
                failed(Exit::Unavailable, format!("nexus-docker refused: {}", why.trim()))
            }
        };
        Err(io::Error::other(failure))
    }
}

impl Read for Answer {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(got) = self.read_ready(buf)? {
                return Ok(got);
            }
            self.wait(PollFlags::POLLIN)?;
        }
    }
}

/// The line that most likely says why: the last that speaks of an error, for PostgreSQL's tools add the
/// statement after it; else the last.
fn reason(stderr: &str, status: i32) -> String {
    let lines = || stderr.lines().rev().filter(|line| !line.trim().is_empty());
    let error = lines().find(|line| line.to_ascii_lowercase().contains("error"));
    match error.or_else(|| lines().next()) {
        Some(line) => line.to_owned(),
        None if status > 128 => format!("signal {} ended it", status - 128),
        None => "it gave no reason".to_owned(),
    }
}
