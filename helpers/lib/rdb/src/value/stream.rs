//! Reads streams: the entries in their order, then the consumer groups with their pending entries.
//! (rdb.c, `rdbSaveObject`; t_stream.c for the listpacks.)

use std::io;

use nexus_digest::{Digest, Hasher};

use crate::content::{self, Content};
use crate::packed::{Packed, Packing};
use crate::source::{Source, damaged};

/// Flag of an entry that is marked as deleted.
const DELETED: i64 = 1;

/// Flag of an entry that has the same fields as the first entry of its listpack.
const SAME_FIELDS: i64 = 2;

/// The id of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id {
    milliseconds: u64,
    sequence: u64,
}

/// A stream during reading.
struct Stream<'s, 'a> {
    source: &'s mut Source<'a>,
    hasher: Hasher,
    generation: u8,
}

/// Reads a stream of generation 1, 2 or 3. The digest omits fields that the generation does not
/// have.
pub(super) fn read(source: &mut Source<'_>, generation: u8) -> io::Result<Digest> {
    let mut stream = Stream { source, hasher: Hasher::default(), generation };
    stream.all()?;
    Ok(stream.hasher.finish())
}

impl Stream<'_, '_> {
    fn all(&mut self) -> io::Result<()> {
        let mut found = 0;
        for _ in 0..self.source.length()? {
            found += self.listpack()?;
        }
        if self.number()? != found {
            return Err(damaged("the declared number of entries of a stream is wrong"));
        }
        // The id of the last entry.
        self.numbers(2)?;
        if self.generation >= 2 {
            // The first id, the last deleted id, and the number of entries ever added.
            self.numbers(5)?;
        }
        for _ in 0..self.number()? {
            self.group()?;
        }
        Ok(())
    }

    /// Reads a number into the digest.
    fn number(&mut self) -> io::Result<u64> {
        let number = self.source.length()?;
        self.hasher.update(&number.to_le_bytes());
        Ok(number)
    }

    fn numbers(&mut self, count: usize) -> io::Result<()> {
        (0..count).try_for_each(|_| self.number().map(drop))
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<()> {
        self.hasher.update(&self.source.array::<N>()?);
        Ok(())
    }

    fn string(&mut self) -> io::Result<()> {
        let digest = content::string(self.source)?;
        self.hasher.update(digest.as_bytes());
        Ok(())
    }

    /// Reads a group: its name, the last delivered id, the number of entries read, the pending
    /// entries, and its consumers.
    fn group(&mut self) -> io::Result<()> {
        self.string()?;
        self.numbers(if self.generation >= 2 { 3 } else { 2 })?;
        for _ in 0..self.number()? {
            // The id and the time of delivery, then the number of deliveries.
            self.bytes::<24>()?;
            self.number()?;
        }
        for _ in 0..self.number()? {
            self.string()?;
            // The time when it was last seen, and when it last got an entry.
            self.bytes::<8>()?;
            if self.generation >= 3 {
                self.bytes::<8>()?;
            }
            for _ in 0..self.number()? {
                self.bytes::<16>()?;
            }
        }
        Ok(())
    }

    /// Reads a listpack of entries. It begins with a base id and fields, to which the entries are
    /// relative. Returns the number of entries.
    fn listpack(&mut self) -> io::Result<u64> {
        let mut key = Content::open(self.source)?;
        let [milliseconds, sequence] = [key.array()?, key.array()?].map(u64::from_be_bytes);
        key.close()?;
        let base = Id { milliseconds, sequence };
        let mut entries =
            Entries { packed: Packed::open(Content::open(self.source)?, Packing::Listpack)?, base };
        let (alive, deleted) = (entries.integer()?, entries.integer()?);
        let fields = entries.count()?;
        let names = entries.digest_of(fields)?;
        // Marks the first entry for a reader that goes backwards.
        entries.integer()?;

        let (mut found_alive, mut found_deleted) = (0_u64, 0_u64);
        while let Some(flags) = entries.packed.number::<i64>()? {
            let (id, contents) = entries.entry(flags, fields, names)?;
            if flags & DELETED != 0 {
                found_deleted += 1;
                continue;
            }
            found_alive += 1;
            self.hasher.update(&id.milliseconds.to_le_bytes());
            self.hasher.update(&id.sequence.to_le_bytes());
            self.hasher.update(contents.names.as_bytes());
            self.hasher.update(contents.values.as_bytes());
        }
        entries.packed.close()?;
        if u64::try_from(alive) != Ok(found_alive) || u64::try_from(deleted) != Ok(found_deleted) {
            return Err(damaged("the declared number of entries of a stream node is wrong"));
        }
        Ok(found_alive)
    }
}

/// A listpack of entries during reading.
struct Entries<'s, 'a> {
    packed: Packed<'s, 'a>,
    base: Id,
}

/// The names and the values of the fields, in their order.
struct Contents {
    names: Digest,
    values: Digest,
}

impl Entries<'_, '_> {
    fn integer(&mut self) -> io::Result<i64> {
        self.packed.number()?.ok_or_else(|| damaged("a stream node ends too early"))
    }

    fn count(&mut self) -> io::Result<i64> {
        self.integer().and_then(|count| match count {
            0.. => Ok(count),
            _ => Err(damaged("a stream node has a negative count")),
        })
    }

    fn text(&mut self) -> io::Result<Digest> {
        self.packed.digest()?.ok_or_else(|| damaged("a stream node ends too early"))
    }

    /// Returns the digest of the next `count` texts.
    fn digest_of(&mut self, count: i64) -> io::Result<Digest> {
        let mut hasher = Hasher::default();
        for _ in 0..count {
            hasher.update(self.text()?.as_bytes());
        }
        Ok(hasher.finish())
    }

    /// Reads the rest of an entry after its flags; `fields` and `names` are those of the listpack's
    /// first entry.
    fn entry(&mut self, flags: i64, fields: i64, names: Digest) -> io::Result<(Id, Contents)> {
        let id = Id {
            milliseconds: self.base.milliseconds.wrapping_add_signed(self.integer()?),
            sequence: self.base.sequence.wrapping_add_signed(self.integer()?),
        };
        if flags & SAME_FIELDS != 0 {
            let values = self.digest_of(fields)?;
            self.end(fields.checked_add(3))?;
            return Ok((id, Contents { names, values }));
        }
        let own = self.count()?;
        let (mut names, mut values) = (Hasher::default(), Hasher::default());
        for _ in 0..own {
            names.update(self.text()?.as_bytes());
            values.update(self.text()?.as_bytes());
        }
        self.end(own.checked_mul(2).and_then(|both| both.checked_add(4)))?;
        Ok((id, Contents { names: names.finish(), values: values.finish() }))
    }

    /// Reads the end of an entry: the number of its listpack entries.
    fn end(&mut self, length: Option<i64>) -> io::Result<()> {
        if Some(self.integer()?) != length {
            return Err(damaged("the declared length of a stream entry is wrong"));
        }
        Ok(())
    }
}
