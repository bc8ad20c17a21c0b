//! Reading frames in pieces: what has come so far is kept when the rest has to be waited for.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use super::super::protocol::LONGEST_FRAME;

/// Where in the row of frames we are. It outlives every interrupted or partial read.
pub(super) enum State {
    /// In a frame's five bytes of head.
    Head { bytes: [u8; 5], have: usize },
    /// In the payload of standard output or standard error.
    Chunk { is_stdout: bool, left: usize },
    /// In the payload of the last frame.
    Last { is_exit: bool, payload: Vec<u8>, left: usize },
    /// The command ended with status 0.
    Done,
    /// Nothing more will come; why was told once.
    Broken,
}

pub(super) const START: State = State::Head { bytes: [0; 5], have: 0 };

/// What follows a frame's head.
pub(super) fn after_head([kind, length @ ..]: [u8; 5]) -> io::Result<State> {
    let left = u32::from_be_bytes(length) as usize;
    if left > LONGEST_FRAME {
        return Err(invalid("a frame that is too long"));
    }
    match kind {
        b'o' => Ok(State::Chunk { is_stdout: true, left }),
        b'e' => Ok(State::Chunk { is_stdout: false, left }),
        b'x' | b'r' => Ok(State::Last { is_exit: kind == b'x', payload: Vec::new(), left }),
        _ => Err(invalid("a frame of unknown kind")),
    }
}

/// At least one byte, or an error: the end of the stream is one too, for the last frame has not come.
pub(super) fn read_some(stream: &mut UnixStream, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buf) {
            Ok(0) => return Err(cut()),
            // It ended with input unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(cut()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

pub(super) fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was cut before the command had ended")
}

pub(super) fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
