//! A server that `nexus-docker` runs for as long as the client holds the connection.

use std::io::Read;
use std::net::Shutdown;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};

use crate::feed::{AtEnd, Feed};
use crate::output::CommandOutput;

/// The longest first line, in bytes.
const LONGEST_LINE: usize = 64 << 10;

/// A server that runs until [`Lease::end`], or until this is dropped or the process dies.
pub struct Lease(CommandOutput);

impl Lease {
    /// Sends `input` and waits for the line that reports the server ready.
    pub(crate) fn start(output: CommandOutput, input: &mut dyn Read) -> Result<(Self, String)> {
        let mut lease = Self(output);
        let mut feed = Feed::new(input, AtEnd::KeepOpen);
        let mut line = Vec::new();
        let mut buffer = vec![0; 16 << 10];
        while !line.ends_with(b"\n") {
            match feed.exchange(&mut lease.0, &mut buffer)? {
                Some(0) => return Err(lease.failure("it exited before it was ready")),
                Some(got) if line.len() + got <= LONGEST_LINE => line.extend_from_slice(&buffer[..got]),
                Some(_) => return Err(lease.failure("its first line is longer than 64 KiB")),
                None => {}
            }
        }
        Ok((lease, String::from_utf8_lossy(&line).trim().to_owned()))
    }

    /// Ends the server and waits until it is removed.
    ///
    /// # Errors
    /// Unavailable (69) when it had exited by itself or could not be removed, CannotCreate (73)
    /// when it was killed because it took too much disk space.
    pub fn end(mut self) -> Result<()> {
        let shut_down = self.0.stream().shutdown(Shutdown::Write);
        shut_down.or_fail_io(|| format!("ending: {}", self.0.doing()))?;
        self.0.finish()
    }

    fn failure(&self, cause: &str) -> Failure {
        Failure::new(Exit::Unavailable, self.0.doing()).because(cause)
    }
}
