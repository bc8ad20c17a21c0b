//! Reads the bytes of the file in order, with their checksum and position, and decodes lengths and
//! numbers.

use std::io::{self, ErrorKind, Read};

use crate::crc64;

/// Bytes per read.
const BUFFER: usize = 64 << 10;

/// Returns the error for malformed data. The reader adds the position.
pub(super) fn damaged(why: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.into())
}

/// An RDB file, read once from start to end.
pub(super) struct Source<'a> {
    input: &'a mut dyn Read,
    buffer: Vec<u8>,
    next: usize,
    filled: usize,
    position: u64,
    crc: u64,
}

/// A length, or the special encoding of a string without a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Plain(u64),
    Special(u8),
}

impl<'a> Source<'a> {
    pub(super) fn new(input: &'a mut dyn Read) -> Self {
        Self { input, buffer: vec![0; BUFFER], next: 0, filled: 0, position: 0, crc: 0 }
    }

    /// Returns how many bytes were taken.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the checksum of the bytes taken.
    pub(super) fn crc(&self) -> u64 {
        self.crc
    }

    /// Returns the next bytes that are available; none at the end of the file.
    pub(super) fn peek(&mut self) -> io::Result<&[u8]> {
        while self.next == self.filled {
            match self.input.read(&mut self.buffer) {
                Ok(0) => return Ok(&[]),
                Ok(read) => (self.next, self.filled) = (0, read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.next..self.filled])
    }

    /// Returns the next bytes, at least one.
    pub(super) fn some(&mut self) -> io::Result<&[u8]> {
        if self.peek()?.is_empty() {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the file is truncated"));
        }
        Ok(&self.buffer[self.next..self.filled])
    }

    /// Takes the first `count` of the bytes that [`Self::some`] returned.
    pub(super) fn take(&mut self, count: usize) {
        let end = self.filled.min(self.next + count);
        self.crc = crc64::update(self.crc, &self.buffer[self.next..end]);
        self.position += (end - self.next) as u64;
        self.next = end;
    }

    pub(super) fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        let mut done = 0;
        while done < N {
            let some = self.some()?;
            let now = some.len().min(N - done);
            array[done..done + now].copy_from_slice(&some[..now]);
            self.take(now);
            done += now;
        }
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> io::Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Reads a time in milliseconds since 1970.
    pub(super) fn milliseconds(&mut self) -> io::Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// Reads a length or a special encoding (rdb.c, `rdbLoadLenByRef`).
    pub(super) fn any_length(&mut self) -> io::Result<Length> {
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match (first >> 6, first) {
            (0, _) => Length::Plain(low.into()),
            (1, _) => Length::Plain(u64::from(low) << 8 | u64::from(self.byte()?)),
            (3, _) => Length::Special(low),
            (_, 0x80) => Length::Plain(u32::from_be_bytes(self.array()?).into()),
            (_, 0x81) => Length::Plain(u64::from_be_bytes(self.array()?)),
            (_, other) => return Err(damaged(format!("{other:#04x} does not begin a length"))),
        })
    }

    /// Reads a length. A special encoding is an error.
    pub(super) fn length(&mut self) -> io::Result<u64> {
        match self.any_length()? {
            Length::Plain(length) => Ok(length),
            Length::Special(encoding) => {
                Err(damaged(format!("string encoding {encoding} instead of a length")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length_of(mut bytes: &[u8]) -> io::Result<Length> {
        Source::new(&mut bytes).any_length()
    }

    #[test]
    fn lengths_of_every_size_are_read() {
        for (bytes, length) in [
            (&b"\x3f"[..], Length::Plain(63)),
            (b"\x40\x40", Length::Plain(64)),
            (b"\x80\x00\x01\x00\x00", Length::Plain(65536)),
            (b"\x81\x00\x00\x00\x01\x00\x00\x00\x00", Length::Plain(1 << 32)),
            (b"\xc3", Length::Special(3)),
        ] {
            assert_eq!(length_of(bytes).unwrap(), length);
        }
        assert_eq!(length_of(b"\x82").unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(length_of(b"\x80\x00").unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
