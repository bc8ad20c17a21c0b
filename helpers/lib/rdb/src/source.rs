//! The file's bytes in order: their checksum and position, and the lengths and numbers that they spell.

use std::io::{self, ErrorKind, Read};

use crate::crc64;

/// Bytes read at once.
const BUFFER: usize = 64 << 10;

/// The error for bytes that no Redis wrote; the reader adds where they are.
pub(super) fn damaged(why: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.into())
}

/// An RDB file that is read once from front to back.
pub(super) struct Source<'a> {
    input: &'a mut dyn Read,
    buffer: Vec<u8>,
    next: usize,
    filled: usize,
    position: u64,
    crc: u64,
}

/// A length, or the way in which a string is stored that has none in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Plain(u64),
    Special(u8),
}

impl<'a> Source<'a> {
    pub(super) fn new(input: &'a mut dyn Read) -> Self {
        Self { input, buffer: vec![0; BUFFER], next: 0, filled: 0, position: 0, crc: 0 }
    }

    /// How many bytes were taken.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The checksum of all that was taken.
    pub(super) fn crc(&self) -> u64 {
        self.crc
    }

    /// The next bytes, as many as are there; none at the end of the file.
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

    /// The next bytes, at least one.
    pub(super) fn some(&mut self) -> io::Result<&[u8]> {
        if self.peek()?.is_empty() {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "it ends too early"));
        }
        Ok(&self.buffer[self.next..self.filled])
    }

    /// Takes the first `count` bytes of what [`Self::some`] gave.
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

    /// A time in milliseconds since 1970.
    pub(super) fn milliseconds(&mut self) -> io::Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// A length (rdb.c, `rdbLoadLenByRef`).
    pub(super) fn any_length(&mut self) -> io::Result<Length> {
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match (first >> 6, first) {
            (0, _) => Length::Plain(low.into()),
            (1, _) => Length::Plain(u64::from(low) << 8 | u64::from(self.byte()?)),
            (3, _) => Length::Special(low),
            (_, 0x80) => Length::Plain(u32::from_be_bytes(self.array()?).into()),
            (_, 0x81) => Length::Plain(u64::from_be_bytes(self.array()?)),
            (_, other) => return Err(damaged(format!("{other:#04x} begins no length"))),
        })
    }

    /// A length, where nothing else may be.
    pub(super) fn length(&mut self) -> io::Result<u64> {
        match self.any_length()? {
            Length::Plain(length) => Ok(length),
            Length::Special(way) => Err(damaged(format!("{way} is no length"))),
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
