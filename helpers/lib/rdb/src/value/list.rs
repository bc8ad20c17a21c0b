//! Reads lists: the elements in their order.

use std::io;

use nexus_digest::{Digest, Hasher};

use crate::content::{self, Content};
use crate::packed::{Packed, Packing};
use crate::source::{Source, damaged};

/// The elements read so far.
#[derive(Default)]
struct Elements {
    hasher: Hasher,
    some: bool,
}

impl Elements {
    fn add(&mut self, element: Digest) {
        self.hasher.update(element.as_bytes());
        self.some = true;
    }

    fn add_packed(&mut self, mut packed: Packed<'_, '_>) -> io::Result<()> {
        while let Some(element) = packed.digest()? {
            self.add(element);
        }
        packed.close()
    }

    fn finish(self) -> Option<Digest> {
        self.some.then(|| self.hasher.finish())
    }
}

pub(super) fn plain(source: &mut Source<'_>) -> io::Result<Option<Digest>> {
    let mut elements = Elements::default();
    for _ in 0..source.length()? {
        elements.add(content::string(source)?);
    }
    Ok(elements.finish())
}

pub(super) fn quick(source: &mut Source<'_>, packing: Packing) -> io::Result<Option<Digest>> {
    let mut elements = Elements::default();
    for _ in 0..source.length()? {
        elements.add_packed(Packed::open(Content::open(source)?, packing)?)?;
    }
    Ok(elements.finish())
}

/// Reads a list whose nodes are each one element or a packed collection.
pub(super) fn quick2(source: &mut Source<'_>) -> io::Result<Option<Digest>> {
    let mut elements = Elements::default();
    for _ in 0..source.length()? {
        match source.length()? {
            1 => elements.add(content::string(source)?),
            2 => elements.add_packed(Packed::open(Content::open(source)?, Packing::Listpack)?)?,
            other => return Err(damaged(format!("a list node has the unknown kind {other}"))),
        }
    }
    Ok(elements.finish())
}
