//! Reads the bytes of a string in order, in each of its encodings: plain, as a number, or
//! compressed.

use std::io;

use nexus_digest::{Digest, Hasher};

use crate::lzf::Lzf;
use crate::source::{Length, Source, damaged};

/// A string during reading.
pub(super) struct Content<'s, 'a> {
    source: &'s mut Source<'a>,
    left: u64,
    form: Form,
}

enum Form {
    Plain,
    /// The number's decimal text.
    Number(Vec<u8>),
    Packed(Lzf),
}

impl<'s, 'a> Content<'s, 'a> {
    /// Opens the next string (rdb.c, `rdbGenericLoadStringObject`).
    pub(super) fn open(source: &'s mut Source<'a>) -> io::Result<Self> {
        let number = match source.any_length()? {
            Length::Plain(left) => return Ok(Self { source, left, form: Form::Plain }),
            Length::Special(0) => i8::from_le_bytes(source.array()?).into(),
            Length::Special(1) => i16::from_le_bytes(source.array()?).into(),
            Length::Special(2) => i32::from_le_bytes(source.array()?),
            Length::Special(3) => {
                let packed = source.length()?;
                let left = source.length()?;
                return Ok(Self { source, left, form: Form::Packed(Lzf::new(packed, left)) });
            }
            Length::Special(other) => return Err(damaged(format!("unknown string encoding {other}"))),
        };
        let text = number.to_string().into_bytes();
        Ok(Self { source, left: text.len() as u64, form: Form::Number(text) })
    }

    /// Returns how many bytes are left.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Passes the next `count` bytes to `give`, in pieces.
    pub(super) fn pieces(&mut self, count: u64, mut give: impl FnMut(&[u8])) -> io::Result<()> {
        if count > self.left {
            return Err(damaged("an element extends past the end of its string"));
        }
        let mut missing = count;
        while missing > 0 {
            let some = match &mut self.form {
                Form::Plain => self.source.some()?,
                Form::Number(text) => text,
                Form::Packed(lzf) => lzf.some(self.source)?,
            };
            let now = some.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
            give(&some[..now]);
            match &mut self.form {
                Form::Plain => self.source.take(now),
                Form::Number(text) => drop(text.drain(..now)),
                Form::Packed(lzf) => lzf.take(now),
            }
            missing -= now as u64;
            self.left -= now as u64;
        }
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        let mut done = 0;
        self.pieces(N as u64, |piece| {
            array[done..done + piece.len()].copy_from_slice(piece);
            done += piece.len();
        })?;
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> io::Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Returns the digest of the next `count` bytes.
    pub(super) fn digest(&mut self, count: u64) -> io::Result<Digest> {
        let mut hasher = Hasher::default();
        self.pieces(count, |piece| hasher.update(piece))?;
        Ok(hasher.finish())
    }

    /// Ends the string. Bytes that are left are an error.
    pub(super) fn close(self) -> io::Result<()> {
        let packed_at_end = match &self.form {
            Form::Packed(lzf) => lzf.is_at_end(),
            _ => true,
        };
        if self.left > 0 || !packed_at_end {
            return Err(damaged("data after the end of a string"));
        }
        Ok(())
    }
}

/// Returns the digest of the next string.
pub(super) fn string(source: &mut Source<'_>) -> io::Result<Digest> {
    let mut content = Content::open(source)?;
    let digest = content.digest(content.left())?;
    content.close()?;
    Ok(digest)
}
