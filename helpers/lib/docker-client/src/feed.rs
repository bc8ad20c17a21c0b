//! Sends input without blocking while it receives output.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use nexus_cli::failure::{OrFailIo, Result};
use nix::poll::PollFlags;

use crate::output::CommandOutput;

/// What happens to the connection's writing half once all input is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// Shut it down, which ends the command's input.
    Close,
    /// Keep it open.
    KeepOpen,
}

/// Input on its way to the socket.
pub(crate) struct Feed<'a> {
    input: &'a mut dyn Read,
    at_end: AtEnd,
    pending: Vec<u8>,
    sent: usize,
    /// Whether `input` has ended.
    ended: bool,
    /// Whether the socket takes no more: it is shut down, or the command closed its input.
    closed: bool,
}

impl<'a> Feed<'a> {
    pub(crate) fn new(input: &'a mut dyn Read, at_end: AtEnd) -> Self {
        Self { input, at_end, pending: Vec::new(), sent: 0, ended: false, closed: false }
    }

    /// Sends everything. A peer that closes the connection is not an error here: its answer says
    /// why.
    pub(crate) fn send_all(&mut self, output: &mut CommandOutput) -> Result<()> {
        self.fill(output)?;
        while !self.is_done() {
            output.wait(PollFlags::POLLOUT).or_fail_io(|| output.doing())?;
            self.send_some(output)?;
            self.fill(output)?;
        }
        Ok(())
    }

    /// Waits until the socket is ready, then sends and receives without blocking.
    ///
    /// Returns how many bytes of standard output it has put into `buffer`: `None` if none came,
    /// `Some(0)` after the command exited with status 0.
    pub(crate) fn exchange(
        &mut self,
        output: &mut CommandOutput,
        buffer: &mut [u8],
    ) -> Result<Option<usize>> {
        self.fill(output)?;
        let wanted = if self.is_done() { PollFlags::empty() } else { PollFlags::POLLOUT };
        let ready = output.wait(PollFlags::POLLIN | wanted).or_fail_io(|| output.doing())?;
        if ready.contains(PollFlags::POLLOUT) {
            self.send_some(output)?;
        }
        if !ready.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
            return Ok(None);
        }
        output.read_available(buffer).or_fail_io(|| output.doing())
    }

    /// Reads the input to its end and discards the rest.
    pub(crate) fn read_rest(self, output: &CommandOutput) -> Result<()> {
        io::copy(self.input, &mut io::sink()).map(drop).or_fail_io(|| reading_input(output))
    }

    fn is_done(&self) -> bool {
        self.closed || self.ended && self.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.sent == self.pending.len()
    }

    /// Reads more input once all earlier input is sent.
    fn fill(&mut self, output: &CommandOutput) -> Result<()> {
        if self.is_done() || !self.is_empty() {
            return Ok(());
        }
        self.pending.resize(64 << 10, 0);
        let got = loop {
            match self.input.read(&mut self.pending) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.or_fail_io(|| reading_input(output))?,
            }
        };
        self.pending.truncate(got);
        self.sent = 0;
        self.ended = got == 0;
        if self.ended && self.at_end == AtEnd::Close {
            // This fails if the peer has closed the connection; its answer, or the lack of one,
            // says why.
            let _ = output.stream().shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// Sends what the socket accepts now. A command that closes its input early is not an error
    /// here: it may need only a part, and its exit status tells whether it succeeded.
    fn send_some(&mut self, output: &mut CommandOutput) -> Result<()> {
        match output.stream().write(&self.pending[self.sent..]) {
            Ok(sent) => self.sent += sent,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                    self.closed = true;
                    output.expect_exit();
                }
                _ => return Err(error).or_fail_io(|| output.doing()),
            },
        }
        Ok(())
    }
}

fn reading_input(output: &CommandOutput) -> String {
    format!("{}: reading its input", output.doing())
}
