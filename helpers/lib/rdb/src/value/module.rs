//! Reads values of modules. Only the module knows their meaning, but all use the same item format.
//! (rdb.c, `rdbLoadCheckModuleValue`.)

use std::io;

use nexus_digest::{Digest, Hasher};

use crate::content;
use crate::source::{Source, damaged};
use crate::value::vector_set;

/// One item of a module's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Integer(u64),
    Float([u8; 4]),
    Double([u8; 8]),
    Text(Digest),
}

/// Reads the next item; `None` at the end.
pub(super) fn item(source: &mut Source<'_>) -> io::Result<Option<Item>> {
    Ok(Some(match source.length()? {
        0 => return Ok(None),
        // Signed and unsigned integers have the same bits.
        1 | 2 => Item::Integer(source.length()?),
        3 => Item::Float(source.array()?),
        4 => Item::Double(source.array()?),
        5 => Item::Text(content::string(source)?),
        other => return Err(damaged(format!("a module's item has the unknown kind {other}"))),
    }))
}

impl Item {
    fn feed(self, hasher: &mut Hasher) {
        match self {
            Self::Integer(bits) => [&b"i"[..], &bits.to_le_bytes()].map(|part| hasher.update(part)),
            Self::Float(bytes) => [&b"f"[..], &bytes].map(|part| hasher.update(part)),
            Self::Double(bytes) => [&b"d"[..], &bytes].map(|part| hasher.update(part)),
            Self::Text(digest) => [&b"t"[..], digest.as_bytes()].map(|part| hasher.update(part)),
        };
    }
}

/// Reads the module's id and version, then its items in order. Vector sets, whose order does not
/// matter, have their own reader.
pub(super) fn read(source: &mut Source<'_>) -> io::Result<Digest> {
    let id = source.length()?;
    if id == vector_set::ID {
        return vector_set::read(source);
    }
    let mut hasher = Hasher::default();
    hasher.update(&id.to_le_bytes());
    while let Some(item) = item(source)? {
        item.feed(&mut hasher);
    }
    Ok(hasher.finish())
}

/// Skips data that a module keeps outside of keys.
pub(crate) fn skip_data(source: &mut Source<'_>) -> io::Result<()> {
    source.length()?;
    while item(source)?.is_some() {}
    Ok(())
}
