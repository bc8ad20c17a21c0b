//! The client of `nexus-docker`: one connection for each request, input and output streamed.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_cli::stop::Stop;

use crate::feed::{AtEnd, Feed};
use crate::output::SEE_JOURNAL;
use crate::protocol::{LONGEST_REQUEST, Request};

pub use crate::lease::Lease;
pub use crate::output::CommandOutput;

nexus_cli::path_setting! {
    /// Socket of nexus-docker
    DockerSocket: "docker_socket", --"docker-socket", "NEXUS_DOCKER_SOCKET", "SOCKET", "/run/nexus/docker.sock"
}

/// How many bytes of standard output [`Client::send`] returns; such commands print a few lines.
const OUTPUT_LIMIT: usize = 64 << 10;

/// A client of the `nexus-docker` at one socket. Cheap to clone; each request opens its own
/// connection, so several may run at once.
#[derive(Clone)]
pub struct Client {
    socket: PathBuf,
    stop: Stop,
}

impl Client {
    /// Makes a client for `socket` without connecting to it.
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.into(), stop: Stop::default() }
    }

    /// Checks `stop` whenever a request waits, at least four times a second, and ends the request
    /// with its error.
    #[must_use]
    pub fn stopping(mut self, stop: &Stop) -> Self {
        self.stop = stop.clone();
        self
    }

    /// Sends a request that takes no input and returns its standard output as a stream.
    ///
    /// # Errors
    /// Unavailable (69) when nothing listens on the socket, Permission (77) when this user may not
    /// connect.
    pub fn ask(&self, request: &Request) -> Result<CommandOutput> {
        debug_assert!(!request.takes_input(), "a request with input goes through send()");
        self.start(request)
    }

    /// Sends a request that takes no input and returns its whole standard output.
    ///
    /// # Errors
    /// Those of [`Client::ask`]; Unavailable (69) when the command fails or prints more than
    /// `limit` bytes.
    pub fn collect(&self, request: &Request, limit: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut output = self.ask(request)?.take(limit as u64 + 1);
        output.read_to_end(&mut bytes).or_fail_io(|| request.to_string())?;
        if bytes.len() > limit {
            let failure = Failure::new(Exit::Unavailable, request.to_string());
            return Err(failure.because(format!("its output is longer than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// Sends a request with all of `input`, and returns the first 64 KiB of its standard output.
    ///
    /// One thread moves input and output in turn, so neither side can block the other for ever.
    /// This reads `input` to its end before it returns `Ok`, even if the command needs only a part:
    /// a reader that verifies itself at its end (age, a checksum) has done so. If reading fails,
    /// this closes the connection without a shutdown, so the command never takes a part of the
    /// input for the whole.
    ///
    /// # Errors
    /// Those of [`Client::ask`]; Unavailable (69) when the command fails; those of `input`.
    pub fn send(&self, request: &Request, input: &mut dyn Read) -> Result<Vec<u8>> {
        self.exchange(request, input, OUTPUT_LIMIT)
    }

    /// Does what [`Client::send`] does, and returns the first `limit` bytes of the standard output.
    ///
    /// # Errors
    /// Those of [`Client::send`].
    pub fn exchange(&self, request: &Request, input: &mut dyn Read, limit: usize) -> Result<Vec<u8>> {
        debug_assert!(request.takes_input(), "a request without input goes through ask()");
        let mut output = self.start(request)?;
        let mut feed = Feed::new(input, AtEnd::Close);
        let mut first = Vec::new();
        let mut buffer = vec![0; 16 << 10];
        loop {
            match feed.exchange(&mut output, &mut buffer)? {
                Some(0) => break,
                Some(got) => {
                    let left = limit.saturating_sub(first.len());
                    first.extend_from_slice(&buffer[..got.min(left)]);
                }
                None => {}
            }
        }
        feed.read_rest(&output)?;
        Ok(first)
    }

    /// Sends a request that runs a server until the input ends, with the first bytes of its input.
    /// Returns the lease on the server and the line that the server printed once it was ready.
    ///
    /// # Errors
    /// Those of [`Client::send`].
    pub fn lease(&self, request: &Request, input: &mut dyn Read) -> Result<(Lease, String)> {
        debug_assert!(request.takes_input(), "the end of its input ends a lease");
        Lease::start(self.start(request)?, input)
    }

    fn start(&self, request: &Request) -> Result<CommandOutput> {
        let doing = || request.to_string();
        let mut line = serde_json::to_vec(request).or_fail(Exit::Software, doing)?;
        line.push(b'\n');
        if line.len() > LONGEST_REQUEST {
            return Err(Failure::new(Exit::CannotCreate, doing())
                .because(format!("the request is longer than {LONGEST_REQUEST} bytes")));
        }
        let stream = UnixStream::connect(&self.socket).map_err(|error| self.not_connected(request, error))?;
        stream.set_nonblocking(true).or_fail_io(doing)?;
        let mut output = CommandOutput::new(stream, doing(), self.stop.clone());
        Feed::new(&mut line.as_slice(), AtEnd::KeepOpen).send_all(&mut output)?;
        Ok(output)
    }

    fn not_connected(&self, request: &Request, error: io::Error) -> Failure {
        let doing = format!("{request}: connecting to {}", self.socket.display());
        match error.kind() {
            io::ErrorKind::PermissionDenied => Failure::new(Exit::Permission, doing).because(error).advise(
                "Only root and the user of NEXUS's jobs may connect; run it by its unit or with sudo",
            ),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Failure::new(Exit::Unavailable, doing)
                    .because(error)
                    .advise("Start it with: systemctl start nexus-docker.socket")
            }
            _ => Failure::new(Exit::Unavailable, doing).because(error).advise(SEE_JOURNAL),
        }
    }
}

#[cfg(test)]
mod tests;
