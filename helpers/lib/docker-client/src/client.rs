//! Asking `nexus-docker`: one connection a request, everything streamed, nothing believed that did not
//! come with exit status 0.

mod answer;
mod feed;
mod held;
mod state;

use std::fmt;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use nix::poll::PollFlags;

pub use answer::Answer;
pub use held::Held;

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};

use super::protocol::{LONGEST_REQUEST, Request};

use feed::Feed;

/// What is said where nothing better is known to do next.
const LOOK: &str = "See: journalctl -u 'nexus-docker@*'";

/// How much of the output of a request that takes input is kept: it is a few lines.
const KEPT_OUTPUT: usize = 64 << 10;

/// Called at every wait and at least four times a second; an error ends the request.
pub(crate) type Check = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Where `nexus-docker` listens. Cheap to clone; each request opens a connection of its own, so several
/// may run at once.
#[derive(Clone)]
pub struct Client {
    socket: PathBuf,
    check: Check,
}

impl Client {
    /// A client of the helper that listens on `socket`. Nothing is opened yet.
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), check: Arc::new(|| Ok(())) }
    }

    /// Calls `check` whenever a request waits, at least four times a second, and ends the request with
    /// its error. A job gives `Stop::check` here.
    #[must_use]
    pub fn checking(mut self, check: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        self.check = Arc::new(check);
        self
    }

    /// Sends a request that takes no input and returns its standard output as a stream.
    ///
    /// # Errors
    /// Unavailable (69) when nobody listens, Permission (77) when this user may not ask.
    pub fn ask(&self, request: &Request) -> Result<Answer> {
        debug_assert!(!request.takes_input(), "a request with input goes through send()");
        self.start(request)
    }

    /// Sends a request that takes no input and returns all of its standard output.
    ///
    /// # Errors
    /// As [`Client::ask`]; Unavailable (69) when the command fails or says more than `limit` bytes.
    pub fn collect(&self, request: &Request, limit: usize) -> Result<Vec<u8>> {
        let mut answer = self.ask(request)?;
        let mut output = Vec::new();
        let doing = || Doing(request).to_string();
        (&mut answer).take(limit as u64 + 1).read_to_end(&mut output).map_err(|e| failure_of(e, doing))?;
        if output.len() > limit {
            return Err(Failure::new(Exit::Unavailable, doing()).because(format!("over {limit} bytes")));
        }
        Ok(output)
    }

    /// Sends a request and all of `input`, and returns what the command said on its standard output
    /// (the first 64 KiB of it).
    ///
    /// Input and output are moved in turn by this one thread, so neither side can block the other for
    /// ever. `input` is always read to its end before this returns `Ok`, even when the command needs
    /// less: what checks itself only at its end (age, a checksum) has then been checked. When reading it
    /// fails, the connection is cut and not closed in order, so the command never takes the part it got
    /// for the whole.
    ///
    /// # Errors
    /// As [`Client::ask`]; Unavailable (69) when the command fails; what `input` gives when it fails.
    pub fn send(&self, request: &Request, input: &mut dyn Read) -> Result<Vec<u8>> {
        self.exchange(request, input, KEPT_OUTPUT)
    }

    /// The same, of whose standard output the first `kept` bytes are returned.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn exchange(&self, request: &Request, input: &mut dyn Read, kept: usize) -> Result<Vec<u8>> {
        debug_assert!(request.takes_input(), "a request without input goes through ask()");
        let doing = || Doing(request).to_string();
        let mut answer = self.start(request)?;
        let mut output = Vec::new();
        let mut feed = Feed::new(input);
        let mut bytes = vec![0; 16 << 10];
        loop {
            feed.fill().map_err(|e| failure_of(e, || format!("{}: reading its input", doing())))?;
            if feed.at_end() && !feed.closed {
                // A peer that is gone already makes this fail; its answer, or its lack, says why.
                let _ = answer.stream().shutdown(Shutdown::Write);
                feed.closed = true;
            }
            let wanted = if feed.closed { PollFlags::empty() } else { PollFlags::POLLOUT };
            let ready = answer.wait(PollFlags::POLLIN | wanted).map_err(|e| failure_of(e, doing))?;
            if !feed.closed && ready.contains(PollFlags::POLLOUT) {
                feed.drain_into(answer.stream()).or_fail_io(doing)?;
                if feed.closed {
                    answer.must_end_soon();
                }
            }
            if ready.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
                match answer.read_ready(&mut bytes).map_err(|e| failure_of(e, doing))? {
                    Some(0) => break,
                    Some(got) => {
                        let room = kept.saturating_sub(output.len());
                        output.extend_from_slice(&bytes[..got.min(room)]);
                    }
                    None => {}
                }
            }
        }
        io::copy(feed.input, &mut io::sink())
            .map_err(|e| failure_of(e, || format!("{}: reading its input", doing())))?;
        Ok(output)
    }

    /// Sends a request that starts something which lives until the input ends, and what of `input` it begins with;
    /// returns once it lives, with the line that it said.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn hold(&self, request: &Request, input: &mut dyn Read) -> Result<(Held, String)> {
        debug_assert!(request.takes_input(), "what is held is let go of by the end of its input");
        let mut held = Held::new(self.start(request)?, Doing(request).to_string());
        let line = held.first_line(input)?;
        Ok((held, line))
    }

    fn start(&self, request: &Request) -> Result<Answer> {
        let doing = || Doing(request).to_string();
        let mut line = serde_json::to_vec(request).or_fail(Exit::Software, doing)?;
        line.push(b'\n');
        if line.len() > LONGEST_REQUEST {
            return Err(Failure::new(Exit::CannotCreate, doing())
                .because(format!("the request is longer than {LONGEST_REQUEST} bytes")));
        }
        let stream = UnixStream::connect(&self.socket).map_err(|error| self.not_reached(request, error))?;
        stream.set_nonblocking(true).or_fail_io(doing)?;
        let mut answer = Answer::new(stream, doing(), Arc::clone(&self.check));
        let mut line = line.as_slice();
        let mut feed = Feed::new(&mut line);
        // A helper that hangs up on the request itself has said why, or is cut off: reading shows it.
        while !feed.closed && !feed.at_end() {
            feed.fill().or_fail_io(doing)?;
            answer.wait(PollFlags::POLLOUT).map_err(|e| failure_of(e, doing))?;
            feed.drain_into(answer.stream()).or_fail_io(doing)?;
        }
        if feed.closed {
            answer.must_end_soon();
        }
        Ok(answer)
    }

    fn not_reached(&self, request: &Request, error: io::Error) -> Failure {
        let doing = format!("{}: connecting to {}", Doing(request), self.socket.display());
        match error.kind() {
            io::ErrorKind::PermissionDenied => Failure::new(Exit::Permission, doing)
                .because(error)
                .advise("Only the user nexus and root may ask; run it by its unit or with sudo"),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Failure::new(Exit::Unavailable, doing)
                    .because(error)
                    .advise("Start it with: systemctl start nexus-docker.socket")
            }
            _ => Failure::new(Exit::Unavailable, doing).because(error).advise(LOOK),
        }
    }
}

/// The [`Failure`] that an [`Answer`] put into an I/O error, or a new one about `doing`.
///
/// `Answer` is a `Read`, so its failures travel as [`io::Error`] through whatever reads it.
pub fn failure_of<D: fmt::Display>(error: io::Error, doing: impl FnOnce() -> D) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(error) => match Err::<(), _>(error).or_fail_io(|| doing().to_string()) {
            Err(failure) => failure,
            Ok(()) => Failure::new(Exit::Software, "an error without an error"),
        },
    }
}

/// A request in words, for failures.
struct Doing<'a>(&'a Request);

impl fmt::Display for Doing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Request::Dump { database, .. } => write!(f, "dumping database {database} (pg_dump)"),
            Request::DumpRoles {} => f.write_str("dumping the roles (pg_dumpall)"),
            Request::Restore { database, section, server: _, without_tablespaces: _ } => {
                write!(f, "restoring {} into database {database} (pg_restore)", section.as_str())
            }
            Request::PostDataScript {} => f.write_str("reading post-data (pg_restore)"),
            Request::ScratchUp { .. } => f.write_str("running a throwaway PostgreSQL"),
            Request::ScratchRedis { .. } => f.write_str("running a throwaway Redis"),
            Request::ScratchDown {} => f.write_str("removing throwaway servers"),
            Request::RedisRestore {} => f.write_str("restoring Redis"),
            Request::Containers {} => f.write_str("looking at the containers"),
            Request::Restart { service } | Request::RestartHung { service } => {
                write!(f, "restarting {}", service.as_str())
            }
            Request::Daemon {} => f.write_str("looking at Docker"),
        }
    }
}

#[cfg(test)]
mod tests;
