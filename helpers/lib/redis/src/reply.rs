//! The parts of Redis's wire protocol that a replica needs: lines, and the head of a snapshot.

use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;

use nexus_cli::stop::Stop;

/// The longest accepted line, in bytes.
const LONGEST_LINE: usize = 64 << 10;

/// A connection whose reads time out regularly, to check whether the job must stop.
#[derive(Debug)]
pub(super) struct Input {
    stream: UnixStream,
    stop: Stop,
}

/// How Redis announces the end of the snapshot (Redis documentation, "Replication";
/// `replication.c`, readSyncBulkPayload).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SnapshotHead {
    /// This many bytes follow.
    Length(u64),
    /// The snapshot ends with this mark.
    Mark(Vec<u8>),
}

impl SnapshotHead {
    /// Parses `$123` or `$EOF:` and forty characters.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let head = line.strip_prefix(b"$")?;
        if let Some(mark) = head.strip_prefix(b"EOF:") {
            return (mark.len() == 40).then(|| Self::Mark(mark.to_vec()));
        }
        std::str::from_utf8(head).ok()?.parse().ok().map(Self::Length)
    }
}

impl Input {
    pub(super) fn new(stream: UnixStream, stop: Stop) -> Self {
        Self { stream, stop }
    }

    /// Reads at least one byte. The error is a [`nexus_cli::failure::Failure`] when the job must
    /// stop.
    pub(super) fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stop.check()?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "Redis closed the connection")),
                Ok(read) => return Ok(read),
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Reads a line without its line end. Skips the empty lines that Redis sends as a sign of life.
    ///
    /// Reads byte by byte, so that it takes nothing of the snapshot that follows.
    pub(super) fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            self.read_some(&mut byte)?;
            match byte[0] {
                b'\n' if line.is_empty() => {}
                b'\n' => {
                    if line.last() == Some(&b'\r') {
                        line.pop();
                    }
                    return Ok(line);
                }
                _ if line.len() == LONGEST_LINE => {
                    return Err(io::Error::new(ErrorKind::InvalidData, "Redis sent a line without an end"));
                }
                other => line.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_snapshot_head_are_parsed() {
        assert_eq!(SnapshotHead::parse(b"$88"), Some(SnapshotHead::Length(88)));
        let mark = b"0123456789abcdef0123456789abcdef01234567";
        assert_eq!(
            SnapshotHead::parse(&[b"$EOF:".as_slice(), mark].concat()),
            Some(SnapshotHead::Mark(mark.to_vec()))
        );
        for rubbish in [b"".as_slice(), b"$", b"$-1", b"$EOF:short", b"+OK", b"$EOF:"] {
            assert_eq!(SnapshotHead::parse(rubbish), None);
        }
    }
}
