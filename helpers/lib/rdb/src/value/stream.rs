//! Streams: the entries in their order, then the consumer groups with what they have not acknowledged.
//! (rdb.c, `rdbSaveObject`; t_stream.c on the listpacks.)

use std::io;

use nexus_digest::{Digest, Hasher};

use crate::content::{self, Content};
use crate::packed::{Packed, Packing};
use crate::source::{Source, damaged};

/// Flag of an entry that was deleted but is still there.
const DELETED: i64 = 1;

/// Flag of an entry that has the fields of its listpack's first.
const SAME_FIELDS: i64 = 2;

/// An entry's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id {
    milliseconds: u64,
    sequence: u64,
}

/// A stream that is being read.
struct Stream<'s, 'a> {
    source: &'s mut Source<'a>,
    hasher: Hasher,
    generation: u8,
}

/// Of generation 1, 2 or 3; what an older one does not have is not in its digest.
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
            return Err(damaged("a stream has not as many entries as it says"));
        }
        // The last entry's id.
        self.numbers(2)?;
        if self.generation >= 2 {
            // The ids of the first and of the last deleted one, and how many were ever added.
            self.numbers(5)?;
        }
        for _ in 0..self.number()? {
            self.group()?;
        }
        Ok(())
    }

    /// A number, which goes into the digest.
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

    /// A group: its name, the last id it was given, how many it has read, what is pending, its consumers.
    fn group(&mut self) -> io::Result<()> {
        self.string()?;
        self.numbers(if self.generation >= 2 { 3 } else { 2 })?;
        for _ in 0..self.number()? {
            // Id, time of delivery, deliveries.
            self.bytes::<24>()?;
            self.number()?;
        }
        for _ in 0..self.number()? {
            self.string()?;
            // When it was last seen and last got something.
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

    /// Some entries, which begin with the id and the fields that the others are told relative to; gives how many.
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
        // Where a listpack is read backwards, this marks its first entry.
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
            return Err(damaged("a part of a stream has not as many entries as it says"));
        }
        Ok(found_alive)
    }
}

/// A listpack of entries that is being read.
struct Entries<'s, 'a> {
    packed: Packed<'s, 'a>,
    base: Id,
}

/// The fields' names and their values, each in their order.
struct Contents {
    names: Digest,
    values: Digest,
}

impl Entries<'_, '_> {
    fn integer(&mut self) -> io::Result<i64> {
        self.packed.number()?.ok_or_else(|| damaged("a part of a stream ends too early"))
    }

    fn count(&mut self) -> io::Result<i64> {
        self.integer().and_then(|count| match count {
            0.. => Ok(count),
            _ => Err(damaged("a part of a stream has a count below zero")),
        })
    }

    fn text(&mut self) -> io::Result<Digest> {
        self.packed.digest()?.ok_or_else(|| damaged("a part of a stream ends too early"))
    }

    /// The digest of the next `count` texts.
    fn digest_of(&mut self, count: i64) -> io::Result<Digest> {
        let mut hasher = Hasher::default();
        for _ in 0..count {
            hasher.update(self.text()?.as_bytes());
        }
        Ok(hasher.finish())
    }

    /// The rest of an entry behind its flags; `fields` and `names` are those of the listpack's first.
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

    /// An entry ends with the number of listpack entries that it takes.
    fn end(&mut self, length: Option<i64>) -> io::Result<()> {
        if Some(self.integer()?) != length {
            return Err(damaged("an entry of a stream has not as many parts as it says"));
        }
        Ok(())
    }
}
