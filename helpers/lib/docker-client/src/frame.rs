//! Frames, which carry an answer: one byte for the kind, four bytes for the length of the payload
//! (big-endian), and the payload.

use std::io::{self, Read, Write};

/// The longest payload of a frame, in bytes.
pub(crate) const LONGEST_FRAME: usize = 1 << 20;

/// An output stream of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A frame of an answer, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Bytes that the command wrote.
    Output(Stream, &'a [u8]),
    /// The command exited with this status. The last frame.
    Exit(i32),
    /// The command was not run, for this reason. The last frame.
    Refused(String),
}

/// The first bytes of frames.
const STDOUT: u8 = b'o';
const STDERR: u8 = b'e';
const EXIT: u8 = b'x';
const REFUSED: u8 = b'r';

impl Frame<'_> {
    /// Writes the frame.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Output(Stream::Stdout, bytes) => write(out, STDOUT, bytes),
            Self::Output(Stream::Stderr, bytes) => write(out, STDERR, bytes),
            Self::Exit(status) => write(out, EXIT, &status.to_be_bytes()),
            Self::Refused(reason) => write(out, REFUSED, reason.as_bytes()),
        }
    }
}

fn write(out: &mut impl Write, kind: u8, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(|_| invalid("a frame over 4 GiB"))?;
    out.write_all(&[kind])?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(payload)
}

/// Parses frames from a stream. It keeps its place when a read fails with `WouldBlock` or
/// `Interrupted`.
pub struct FrameReader(State);

enum State {
    /// The next byte belongs to the header, which has five.
    Header { bytes: [u8; 5], have: usize },
    /// The next byte belongs to the payload of an output frame.
    Output { stream: Stream, left: usize },
    /// The next byte belongs to the last frame's payload, an exit status.
    Exit { status: [u8; 4], have: usize },
    /// The next byte belongs to the last frame's payload, the reason of a refusal.
    Refused { reason: Vec<u8>, left: usize },
}

const START: State = State::Header { bytes: [0; 5], have: 0 };

impl Default for FrameReader {
    fn default() -> Self {
        Self(START)
    }
}

impl FrameReader {
    /// Returns the next frame. Output comes in pieces of at most `buffer`'s length, which must not
    /// be 0.
    ///
    /// # Errors
    /// `InvalidData` for anything that is not a frame, `UnexpectedEof` at the end of the stream: a
    /// whole answer ends with [`Frame::Exit`] or [`Frame::Refused`].
    pub fn next<'b>(&mut self, from: &mut impl Read, buffer: &'b mut [u8]) -> io::Result<Frame<'b>> {
        loop {
            match &mut self.0 {
                State::Header { bytes, have } if *have < bytes.len() => {
                    *have += read_some(from, &mut bytes[*have..])?;
                }
                State::Header { bytes, .. } => self.0 = payload_state(*bytes)?,
                State::Output { left: 0, .. } => self.0 = START,
                State::Output { stream, left } => {
                    let want = buffer.len().min(*left);
                    let got = read_some(from, &mut buffer[..want])?;
                    *left -= got;
                    return Ok(Frame::Output(*stream, &buffer[..got]));
                }
                State::Exit { status, have } if *have < status.len() => {
                    *have += read_some(from, &mut status[*have..])?;
                }
                State::Exit { status, .. } => {
                    let status = i32::from_be_bytes(*status);
                    self.0 = START;
                    return Ok(Frame::Exit(status));
                }
                State::Refused { reason, left: 0 } => {
                    let reason = String::from_utf8_lossy(reason).into_owned();
                    self.0 = START;
                    return Ok(Frame::Refused(reason));
                }
                State::Refused { reason, left } => {
                    let mut bytes = [0; 512];
                    let want = bytes.len().min(*left);
                    let got = read_some(from, &mut bytes[..want])?;
                    *left -= got;
                    reason.extend_from_slice(&bytes[..got]);
                }
            }
        }
    }
}

fn payload_state([kind, length @ ..]: [u8; 5]) -> io::Result<State> {
    let left = u32::from_be_bytes(length) as usize;
    if left > LONGEST_FRAME {
        return Err(invalid("a frame that is too long"));
    }
    match kind {
        STDOUT => Ok(State::Output { stream: Stream::Stdout, left }),
        STDERR => Ok(State::Output { stream: Stream::Stderr, left }),
        EXIT if left == 4 => Ok(State::Exit { status: [0; 4], have: 0 }),
        EXIT => Err(invalid("an exit status that is not four bytes long")),
        REFUSED => Ok(State::Refused { reason: Vec::new(), left }),
        _ => Err(invalid("a frame of unknown kind")),
    }
}

/// Reads at least one byte.
fn read_some(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Ok(0) => return Err(cut()),
            // The peer closed the connection without reading all of its input.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(cut()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// The error of a connection that ended before the last frame.
pub(crate) fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection closed before the command exited")
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
