//! A raw session for COPY … TO STDOUT, which passes the payload on as it arrives.
//!
//! The server sends a row as one message, and tokio-postgres holds a whole message: a row of 100 MB
//! would need that much memory and more. This session never holds a whole row. (PostgreSQL manual,
//! "Frontend/Backend Protocol", message formats.)

mod copy_in;

use std::ops::Range;

use bytes::BytesMut;
use nexus_cli::failure::{Exit, Failure, Refusal, Result};
use nexus_cli::stop::Stop;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::frontend;

use crate::failure::{from_server, key_in, unreachable};
use crate::priority::{STAND_BACK, STANDING_BACK};
use crate::server::Server;
use crate::session;
use crate::stream::Stream;

/// Bytes per read from the socket.
const BUFFER: usize = 256 << 10;

/// The longest message that is not COPY data, in bytes: notices, errors, parameters.
const LONGEST_MESSAGE: usize = 1 << 20;

/// The size of a COPY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Rows, as the server counted them.
    pub rows: u64,
    /// Bytes of the COPY stream.
    pub bytes: u64,
}

/// A session that can run statements and stream a COPY.
#[derive(Debug)]
pub struct RawSession {
    stream: Stream,
    buffer: Vec<u8>,
    unread: Range<usize>,
    stop: Stop,
    address: String,
}

/// The kind and body length of a message from the server.
struct Header {
    kind: u8,
    length: usize,
}

impl RawSession {
    /// Connects and logs in.
    ///
    /// # Errors
    /// Unavailable (69) when the server does not answer, Permission (77) when it refuses the
    /// password.
    pub fn connect(server: &Server, database: &str, application: &str, stop: &Stop) -> Result<Self> {
        let mut session = Self {
            stream: Stream::connect(server)?,
            buffer: vec![0; BUFFER],
            unread: 0..0,
            stop: stop.clone(),
            address: server.address(),
        };
        let parameters = [
            ("user", server.settings.user.as_str()),
            ("database", database),
            ("application_name", application),
            ("options", session::OPTIONS),
        ];
        session.send(|out| frontend::startup_message(parameters, out))?;
        session.log_in(server)?;
        session.execute("preparing the session", session::FIRST)?;
        Ok(session)
    }

    /// Runs statements and discards their rows.
    ///
    /// # Errors
    /// Errors of the server. They do not quote `sql`, which may contain private names.
    pub fn execute(&mut self, doing: &str, sql: &str) -> Result<()> {
        self.send(|out| frontend::query(sql, out))?;
        self.until_ready(doing, |_| Ok(())).map(|_| ())
    }

    /// Lowers the session's priority in the server. If that is not allowed (see `priority`), logs
    /// it and goes on.
    ///
    /// # Errors
    /// Unavailable (69) when the connection breaks.
    pub fn stand_back(&mut self) -> Result<()> {
        self.send(|out| frontend::query(STAND_BACK, out))?;
        let (_, refused) = self.read_all(STANDING_BACK, |_| Ok(()))?;
        if let Some(failure) = refused {
            log::info!("{failure}");
        }
        Ok(())
    }

    /// Ends the transaction, then the connection, so that the server logs no error.
    ///
    /// # Errors
    /// Errors of the server.
    pub fn close(mut self) -> Result<()> {
        self.execute("ending the session", "COMMIT")?;
        self.send(|out| {
            frontend::terminate(out);
            Ok(())
        })
    }

    /// Runs `COPY … TO STDOUT` and passes every piece of its stream to `take`, in order.
    ///
    /// # Errors
    /// Errors of the server, or the first error that `take` returns. The session is unusable afterwards.
    pub fn copy_out(
        &mut self,
        doing: &str,
        sql: &str,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Copied> {
        self.send(|out| frontend::query(sql, out))?;
        let mut bytes = 0;
        let tag = self.until_ready(doing, |piece| {
            bytes += piece.len() as u64;
            take(piece)
        })?;
        let rows = tag.strip_prefix("COPY ").and_then(|rows| rows.parse().ok()).ok_or_else(|| {
            Failure::new(Exit::Unavailable, doing).because(format!("the server ended COPY with {tag:?}"))
        })?;
        Ok(Copied { rows, bytes })
    }

    /// Reads until the server is ready again and returns the last command tag.
    fn until_ready(&mut self, doing: &str, take: impl FnMut(&[u8]) -> Result<()>) -> Result<String> {
        let (tag, refused) = self.read_all(doing, take)?;
        refused.map_or(Ok(tag), Err)
    }

    /// Like [`Self::until_ready`], but returns the server's error beside the tag. The session stays
    /// usable after it.
    fn read_all(
        &mut self,
        doing: &str,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<(String, Option<Failure>)> {
        let mut tag = String::new();
        let mut refused = None;
        loop {
            let Header { kind, length } = self.header()?;
            match kind {
                b'd' => self.stream_body(length, &mut take)?,
                b'C' => {
                    let body = self.body(length)?;
                    tag = String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(&body)).into_owned();
                }
                b'E' => refused = Some(error_of(doing, &self.body(length)?)),
                b'Z' => {
                    self.body(length)?;
                    return Ok((tag, refused));
                }
                // Skips row descriptions, rows, notices, parameters, and the start and end of COPY.
                _ => self.stream_body(length, &mut |_| Ok(()))?,
            }
        }
    }

    fn log_in(&mut self, server: &Server) -> Result<()> {
        let doing = format!("logging in to PostgreSQL at {} as {}", self.address, server.settings.user);
        let mut scram = None;
        loop {
            let Header { kind, length } = self.header()?;
            let body = self.body(length)?;
            let broken = |e: std::io::Error| unreachable(doing.clone(), e.to_string());
            match (kind, body.first_chunk::<4>().map(|code| u32::from_be_bytes(*code))) {
                (b'E', _) => return Err(error_of(&doing, &body)),
                (b'Z', _) => return Ok(()),
                // AuthenticationOk and the messages before the server is ready.
                (b'R', Some(0)) | (b'S' | b'K' | b'N' | b'v', _) => {}
                (b'R', Some(3)) => self.send(|out| frontend::password_message(server.password(), out))?,
                (b'R', Some(5)) => {
                    let salt = body.get(4..8).and_then(|s| s.try_into().ok()).unwrap_or_default();
                    let hash = md5_hash(server.settings.user.as_bytes(), server.password(), salt);
                    self.send(|out| frontend::password_message(hash.as_bytes(), out))?;
                }
                (b'R', Some(10)) => {
                    let begun =
                        sasl::ScramSha256::new(server.password(), sasl::ChannelBinding::unsupported());
                    self.send(|out| {
                        frontend::sasl_initial_response(sasl::SCRAM_SHA_256, begun.message(), out)
                    })?;
                    scram = Some(begun);
                }
                (b'R', Some(11)) => {
                    if let Some(scram) = &mut scram {
                        scram.update(&body[4..]).map_err(broken)?;
                        let message = scram.message().to_vec();
                        self.send(|out| frontend::sasl_response(&message, out))?;
                    }
                }
                (b'R', Some(12)) => {
                    if let Some(scram) = &mut scram {
                        scram.finish(&body[4..]).map_err(broken)?;
                    }
                }
                (kind, code) => {
                    return Err(Failure::new(Exit::Unavailable, doing)
                        .because(format!(
                            "the server asks for an unsupported login method ({kind}, {code:?})"
                        ))
                        .advise("Let pg_hba.conf use scram-sha-256 for this role"));
                }
            }
        }
    }

    fn send(&mut self, build: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<()> {
        let mut message = BytesMut::new();
        build(&mut message)
            .and_then(|()| self.stream.write_all(&message, &self.stop))
            .map_err(|e| unreachable(format!("writing to PostgreSQL at {}", self.address), e.to_string()))
    }

    fn header(&mut self) -> Result<Header> {
        while self.unread.len() < 5 {
            self.fill()?;
        }
        let at = self.unread.start;
        let head = &self.buffer[at..at + 5];
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let kind = head[0];
        self.unread.start += 5;
        let length = length.checked_sub(4).ok_or_else(|| {
            unreachable(
                format!("reading from PostgreSQL at {}", self.address),
                "a message shorter than its header",
            )
        })?;
        Ok(Header { kind, length })
    }

    /// Reads the whole body of a small message.
    fn body(&mut self, length: usize) -> Result<Vec<u8>> {
        if length > LONGEST_MESSAGE {
            return Err(unreachable(
                format!("reading from PostgreSQL at {}", self.address),
                format!("a message of {length} bytes that is not COPY data"),
            ));
        }
        let mut body = Vec::with_capacity(length);
        self.stream_body(length, &mut |piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(body)
    }

    fn stream_body(&mut self, mut length: usize, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while length > 0 {
            if self.unread.is_empty() {
                self.fill()?;
            }
            let piece = self.unread.len().min(length);
            let at = self.unread.start;
            take(&self.buffer[at..at + piece])?;
            self.unread.start += piece;
            length -= piece;
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let free = self.unread.end..self.buffer.len();
        match self.stream.read_some(&mut self.buffer[free], &self.stop) {
            Ok(read) => {
                self.unread.end += read;
                Ok(())
            }
            Err(error) => {
                self.stop.check()?;
                Err(unreachable(format!("reading from PostgreSQL at {}", self.address), error.to_string()))
            }
        }
    }
}

/// Parses an ErrorResponse: fields of one letter and a zero-terminated text.
fn error_of(doing: &str, body: &[u8]) -> Failure {
    let field = |letter: u8| {
        body.split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&letter))
            .map_or_else(String::new, |field| String::from_utf8_lossy(&field[1..]).into_owned())
    };
    let (sqlstate, message) = (field(b'C'), field(b'M'));
    let given = |letter| Some(field(letter)).filter(|text| !text.is_empty());
    from_server(doing, &sqlstate, &message).refused_with(Refusal {
        table: given(b's').zip(given(b't')),
        constraint: given(b'n'),
        key: given(b'D').as_deref().and_then(key_in),
        sqlstate,
        message,
    })
}
