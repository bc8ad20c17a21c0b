//! Sending without waiting: what a reader gives goes to the socket as the socket takes it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// Bytes on their way from a reader to the socket.
pub(super) struct Feed<'a> {
    pub(super) input: &'a mut dyn Read,
    pending: Vec<u8>,
    sent: usize,
    ended: bool,
    /// Nothing more is to be sent: all is, or the other side takes no more.
    pub(super) closed: bool,
}

impl<'a> Feed<'a> {
    pub(super) fn new(input: &'a mut dyn Read) -> Self {
        Self { input, pending: Vec::new(), sent: 0, ended: false, closed: false }
    }

    fn is_empty(&self) -> bool {
        self.sent == self.pending.len()
    }

    pub(super) fn at_end(&self) -> bool {
        self.ended && self.is_empty()
    }

    /// Reads the next bytes when all before them are sent.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        if self.closed || self.ended || !self.is_empty() {
            return Ok(());
        }
        self.pending.resize(64 << 10, 0);
        let got = loop {
            match self.input.read(&mut self.pending) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.pending.truncate(got);
        self.sent = 0;
        self.ended = got == 0;
        Ok(())
    }

    /// Sends what the socket takes now. A peer that takes no more is no error here: it may have ended
    /// well before it needed all, and its exit status says so.
    pub(super) fn drain_into(&mut self, mut socket: &UnixStream) -> io::Result<()> {
        match socket.write(&self.pending[self.sent..]) {
            Ok(sent) => self.sent += sent,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => self.closed = true,
                _ => return Err(error),
            },
        }
        Ok(())
    }
}
