//! Small collections that Redis packs into one string: listpacks (since 7.0) and ziplists (until
//! 6.2). (listpack.c and ziplist.c.)

use std::io;

use nexus_digest::Digest;

use crate::content::Content;
use crate::source::damaged;

/// The number of entries that means "not counted".
const UNCOUNTED: u16 = u16::MAX;

/// The end byte of both.
const END: u8 = 0xff;

/// The longest text of a number or a score, in bytes.
const LONGEST_NUMBER: u64 = 128;

/// The format of a packed collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Listpack,
    Ziplist,
}

/// Reads a packed collection entry by entry.
pub(super) struct Packed<'s, 'a> {
    content: Content<'s, 'a>,
    packing: Packing,
    counted: u16,
    taken: u64,
    is_at_end: bool,
}

/// The head of an entry: an integer, or the length of a text.
enum Entry {
    Integer(i64),
    Text(u64),
}

impl<'s, 'a> Packed<'s, 'a> {
    pub(super) fn open(mut content: Content<'s, 'a>, packing: Packing) -> io::Result<Self> {
        let size = content.left();
        if u64::from(u32::from_le_bytes(content.array()?)) != size {
            return Err(damaged("the declared length of a packed collection is wrong"));
        }
        if packing == Packing::Ziplist {
            // The offset of the last entry.
            content.array::<4>()?;
        }
        let counted = u16::from_le_bytes(content.array()?);
        Ok(Self { content, packing, counted, taken: 0, is_at_end: false })
    }

    /// Returns the digest of the next entry; for an integer, of its decimal text. `None` at the
    /// end.
    pub(super) fn digest(&mut self) -> io::Result<Option<Digest>> {
        self.entry(|content, entry| match entry {
            Entry::Integer(integer) => Ok(Digest::of(integer.to_string().as_bytes())),
            Entry::Text(length) => content.digest(length),
        })
    }

    /// Returns the next entry as a number. `None` at the end.
    pub(super) fn number<N: std::str::FromStr>(&mut self) -> io::Result<Option<N>> {
        self.entry(|content, entry| {
            let text = match entry {
                Entry::Integer(integer) => integer.to_string(),
                Entry::Text(length) if length > LONGEST_NUMBER => {
                    return Err(damaged("a number is too long"));
                }
                Entry::Text(length) => {
                    let mut text = Vec::new();
                    content.pieces(length, |piece| text.extend_from_slice(piece))?;
                    String::from_utf8_lossy(&text).into_owned()
                }
            };
            text.parse().map_err(|_| damaged("an entry is not a number"))
        })
    }

    /// Ends the collection. Entries that are left are an error.
    pub(super) fn close(mut self) -> io::Result<()> {
        if !self.is_at_end && self.digest()?.is_some() {
            return Err(damaged("a packed collection has too many entries"));
        }
        self.content.close()
    }

    fn entry<T>(
        &mut self,
        read: impl FnOnce(&mut Content<'s, 'a>, Entry) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        if self.is_at_end {
            return Ok(None);
        }
        let first = self.content.byte()?;
        if first == END {
            self.is_at_end = true;
            if self.counted != UNCOUNTED && u64::from(self.counted) != self.taken {
                return Err(damaged("the declared number of entries of a packed collection is wrong"));
            }
            return Ok(None);
        }
        self.taken += 1;
        let value = match self.packing {
            Packing::Listpack => {
                let before = self.content.left() + 1;
                let entry = self.listpack_head(first)?;
                let value = read(&mut self.content, entry)?;
                self.listpack_tail(before - self.content.left())?;
                value
            }
            Packing::Ziplist => {
                if first == 0xfe {
                    // Four more bytes hold the length of the previous entry.
                    self.content.array::<4>()?;
                }
                let entry = self.ziplist_head()?;
                read(&mut self.content, entry)?
            }
        };
        Ok(Some(value))
    }

    fn listpack_head(&mut self, first: u8) -> io::Result<Entry> {
        let content = &mut self.content;
        Ok(match first {
            0x00..=0x7f => Entry::Integer(first.into()),
            0x80..=0xbf => Entry::Text(u64::from(first & 0x3f)),
            0xc0..=0xdf => {
                let bits = i16::from(first & 0x1f) << 8 | i16::from(content.byte()?);
                // 13 bits: the highest is the sign.
                Entry::Integer((bits << 3 >> 3).into())
            }
            0xe0..=0xef => Entry::Text(u64::from(first & 0x0f) << 8 | u64::from(content.byte()?)),
            0xf0 => Entry::Text(u32::from_le_bytes(content.array()?).into()),
            0xf1 => Entry::Integer(i16::from_le_bytes(content.array()?).into()),
            0xf2 => Entry::Integer(three_bytes(content.array()?)),
            0xf3 => Entry::Integer(i32::from_le_bytes(content.array()?).into()),
            0xf4 => Entry::Integer(i64::from_le_bytes(content.array()?)),
            other => return Err(damaged(format!("{other:#04x} does not begin a listpack entry"))),
        })
    }

    /// An entry ends with its own length, seven bits a byte, so that a listpack can be read
    /// backwards.
    fn listpack_tail(&mut self, length: u64) -> io::Result<()> {
        let bytes: u32 = match length {
            ..=127 => 1,
            128..16_383 => 2,
            16_383..2_097_151 => 3,
            2_097_151..268_435_455 => 4,
            _ => 5,
        };
        for place in (0..bytes).rev() {
            let byte = self.content.byte()?;
            let more = if place + 1 == bytes { 0 } else { 0x80 };
            if u64::from(byte) != (length >> (7 * place) & 0x7f | more) {
                return Err(damaged("a listpack entry ends with a wrong length"));
            }
        }
        Ok(())
    }

    fn ziplist_head(&mut self) -> io::Result<Entry> {
        let content = &mut self.content;
        let first = content.byte()?;
        Ok(match first {
            0x00..=0x3f => Entry::Text(first.into()),
            0x40..=0x7f => Entry::Text(u64::from(first & 0x3f) << 8 | u64::from(content.byte()?)),
            0x80..=0xbf => Entry::Text(u32::from_be_bytes(content.array()?).into()),
            0xc0 => Entry::Integer(i16::from_le_bytes(content.array()?).into()),
            0xd0 => Entry::Integer(i32::from_le_bytes(content.array()?).into()),
            0xe0 => Entry::Integer(i64::from_le_bytes(content.array()?)),
            0xf0 => Entry::Integer(three_bytes(content.array()?)),
            0xfe => Entry::Integer(i8::from_le_bytes(content.array()?).into()),
            // Zero to twelve, stored in the byte itself.
            0xf1..=0xfd => Entry::Integer(i64::from(first & 0x0f) - 1),
            other => return Err(damaged(format!("{other:#04x} does not begin a ziplist entry"))),
        })
    }
}

fn three_bytes([low, middle, high]: [u8; 3]) -> i64 {
    i64::from(i32::from_le_bytes([0, low, middle, high]) >> 8)
}
