//! Reads vector sets, values of a module of Redis itself (since 8.0). Loading one reverses the
//! order of its elements. (modules/vector-sets/vset.c, `VectorSetRdbSave`.)

use std::io;

use nexus_digest::{Digest, Hasher};

use crate::source::{Source, damaged};
use crate::summary::{Collected, digest_of};
use crate::value::module::{Item, item};

/// The module's name with version 0, as RDB files encode it: six bits per letter, ten for the
/// version.
pub(super) const ID: u64 = id(b"vectorset");

/// Flag: the vectors were projected to fewer dimensions.
const PROJECTED: u64 = 1;

/// Flag: there are attributes.
const WITH_ATTRIBUTES: u64 = 2;

const fn id(name: &[u8; 9]) -> u64 {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut id, mut at) = (0, 0);
    while at < name.len() {
        let mut bits = 0;
        while LETTERS[bits] != name[at] {
            bits += 1;
        }
        id = id << 6 | bits as u64;
        at += 1;
    }
    id << 10
}

/// Reads the head in its order, then the elements in any order.
pub(super) fn read(source: &mut Source<'_>) -> io::Result<Digest> {
    let mut head = Hasher::default();
    let mut number = |source: &mut Source<'_>| {
        let number = integer(source)?;
        head.update(&number.to_le_bytes());
        io::Result::Ok(number)
    };
    let _dimensions = number(source)?;
    let count = number(source)?;
    let _quantization = number(source)?;
    let flags = number(source)?;
    if flags & PROJECTED != 0 {
        let _dimensions_before = number(source)?;
        head.update(text(source)?.as_bytes());
    }
    let mut elements = Collected::default();
    for _ in 0..count {
        elements.add(element(source, flags)?);
    }
    if item(source)?.is_some() {
        return Err(damaged("data after the end of a vector set"));
    }
    Ok(digest_of([head.finish().as_bytes(), elements.finish().as_bytes()]))
}

/// Reads an element: its name, attributes and vector, and the last of the node's numbers, which is
/// the vector's length. The other numbers are the graph between the elements, an index that loading
/// rebuilds.
fn element(source: &mut Source<'_>, flags: u64) -> io::Result<Digest> {
    let mut hasher = Hasher::default();
    let texts = if flags & WITH_ATTRIBUTES == 0 { 2 } else { 3 };
    for _ in 0..texts {
        hasher.update(text(source)?.as_bytes());
    }
    let mut last = 0;
    for _ in 0..integer(source)? {
        last = integer(source)?;
    }
    hasher.update(&last.to_le_bytes());
    Ok(hasher.finish())
}

fn integer(source: &mut Source<'_>) -> io::Result<u64> {
    match item(source)? {
        Some(Item::Integer(integer)) => Ok(integer),
        _ => Err(damaged("a vector set has another item instead of an integer")),
    }
}

fn text(source: &mut Source<'_>) -> io::Result<Digest> {
    match item(source)? {
        Some(Item::Text(digest)) => Ok(digest),
        _ => Err(damaged("a vector set has another item instead of a text")),
    }
}
