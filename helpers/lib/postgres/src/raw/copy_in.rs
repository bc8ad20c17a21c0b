//! COPY … FROM STDIN, which sends each piece as soon as it is produced.

use nexus_cli::failure::{Exit, Failure, Result};
use postgres_protocol::message::frontend;

use super::{BUFFER, Copied, Header, RawSession, error_of};
use crate::failure::unreachable;

/// The size of the kind and length of a CopyData message.
const HEAD: usize = 5;

impl RawSession {
    /// Runs `COPY … FROM STDIN`. `next` fills a buffer and returns the number of bytes; 0 ends the
    /// stream.
    ///
    /// # Errors
    /// Errors of the server, detected between two pieces and not only at the end; or the first
    /// error of `next`, after the COPY is aborted in the server.
    pub fn copy_in(
        &mut self,
        doing: &str,
        sql: &str,
        mut next: impl FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<Copied> {
        self.send(|out| frontend::query(sql, out))?;
        self.until_copy_begins(doing)?;
        let mut piece = vec![0; HEAD + BUFFER];
        let mut bytes = 0;
        loop {
            // During COPY the server sends only notices and the error that ends it. After an error
            // the rest is not sent.
            if !self.unread.is_empty() || self.has_input()? {
                let Header { kind, length } = self.header()?;
                let body = self.body(length)?;
                if kind == b'E' {
                    return Err(error_of(doing, &body));
                }
                continue;
            }
            match next(&mut piece[HEAD..]) {
                Ok(0) => break,
                Ok(length) => {
                    self.send_piece(&mut piece[..HEAD + length])?;
                    bytes += length as u64;
                }
                Err(failure) => {
                    self.send(|out| frontend::copy_fail("the stream could not be read to its end", out))?;
                    // The server answers with this message; the cause that matters is `failure`.
                    let _answered = self.until_ready(doing, |_| Ok(()));
                    return Err(failure);
                }
            }
        }
        self.send(|out| {
            frontend::copy_done(out);
            Ok(())
        })?;
        let tag = self.until_ready(doing, |_| Ok(()))?;
        let rows = tag.strip_prefix("COPY ").and_then(|rows| rows.parse().ok()).ok_or_else(|| {
            Failure::new(Exit::Unavailable, doing).because(format!("the server ended COPY with {tag:?}"))
        })?;
        Ok(Copied { rows, bytes })
    }

    /// Reads until the server is ready for the rows.
    fn until_copy_begins(&mut self, doing: &str) -> Result<()> {
        loop {
            let Header { kind, length } = self.header()?;
            let body = self.body(length)?;
            match kind {
                b'G' => return Ok(()),
                b'E' => return Err(error_of(doing, &body)),
                b'Z' => {
                    return Err(Failure::new(Exit::Software, doing).because("the statement accepts no rows"));
                }
                _ => {}
            }
        }
    }

    fn has_input(&self) -> Result<bool> {
        self.stream
            .has_input()
            .map_err(|e| unreachable(format!("waiting for PostgreSQL at {}", self.address), e.to_string()))
    }

    /// Sends a CopyData message. `piece` begins with space for the head.
    fn send_piece(&mut self, piece: &mut [u8]) -> Result<()> {
        let doing = || format!("writing to PostgreSQL at {}", self.address);
        let length =
            u32::try_from(piece.len() - 1).map_err(|e| Failure::new(Exit::Software, doing()).because(e))?;
        piece[0] = b'd';
        piece[1..HEAD].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(piece, &self.stop).map_err(|error| match self.stop.check() {
            Err(stopped) => stopped,
            Ok(()) => unreachable(doing(), error.to_string()),
        })
    }
}
