//! Redis's wire protocol, as far as a replica needs it: lines, and the head of a snapshot.

use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;

use nexus_cli::stop::Stop;

/// The longest line that is waited for, in bytes.
const LONGEST_LINE: usize = 64 << 10;

/// A connection that is read in pieces; its reads time out now and then, to look whether the job is to stop.
#[derive(Debug)]
pub(super) struct Input {
    stream: UnixStream,
    stop: Stop,
}

/// How the snapshot's end is told (Redis documentation, "Replication"; `replication.c`, readSyncBulkPayload).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SnapshotHead {
    /// So many bytes follow.
    Length(u64),
    /// It ends with this mark.
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

    /// Reads some bytes, at least one; a [`nexus_cli::failure::Failure`] when the job is to stop.
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

    /// Reads a line without its end, skipping the empty lines with which Redis says that it is still there.
    ///
    /// Byte by byte, so that nothing of the snapshot behind it is taken.
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
    fn both_ways_of_announcing_a_snapshot_are_understood() {
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
