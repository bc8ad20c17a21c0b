//! Values of modules: nobody but the module knows what they mean, but how they are spelt is the same for all.
//! (rdb.c, `rdbLoadCheckModuleValue`.)

use std::io;

use nexus_digest::{Digest, Hasher};

use crate::content;
use crate::source::{Source, damaged};
use crate::value::vector_set;

/// One thing that a module wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Integer(u64),
    Float([u8; 4]),
    Double([u8; 8]),
    Text(Digest),
}

/// The next item; `None` at the end.
pub(super) fn item(source: &mut Source<'_>) -> io::Result<Option<Item>> {
    Ok(Some(match source.length()? {
        0 => return Ok(None),
        // Signed or not: the same bits.
        1 | 2 => Item::Integer(source.length()?),
        3 => Item::Float(source.array()?),
        4 => Item::Double(source.array()?),
        5 => Item::Text(content::string(source)?),
        other => return Err(damaged(format!("no module writes items of kind {other}"))),
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

/// The module's id with its version, then its items: in their order, where we do not know better.
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

/// Skips what a module keeps outside of keys.
pub(crate) fn skip_data(source: &mut Source<'_>) -> io::Result<()> {
    source.length()?;
    while item(source)?.is_some() {}
    Ok(())
}
