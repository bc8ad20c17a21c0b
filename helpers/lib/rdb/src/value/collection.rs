//! Reads sets, sorted sets and hashes, whose order does not matter.

use std::io;

use nexus_digest::Digest;

use crate::content::{self, Content};
use crate::packed::{Packed, Packing};
use crate::source::{Source, damaged};
use crate::summary::{Collected, digest_of};

/// The error for a pair without its second half.
const HALF: &str = "the last entry of a packed collection lacks its second half";

/// Returns the digest of the members, if there are any.
fn finish(members: Collected) -> Option<Digest> {
    (members.count > 0).then(|| members.finish())
}

pub(super) fn set(source: &mut Source<'_>) -> io::Result<Option<Digest>> {
    let mut members = Collected::default();
    for _ in 0..source.length()? {
        members.add(content::string(source)?);
    }
    Ok(finish(members))
}

pub(super) fn packed_set(source: &mut Source<'_>) -> io::Result<Option<Digest>> {
    let mut packed = Packed::open(Content::open(source)?, Packing::Listpack)?;
    let mut members = Collected::default();
    while let Some(member) = packed.digest()? {
        members.add(member);
    }
    packed.close()?;
    Ok(finish(members))
}

/// Integers of one width in one string (intset.c).
pub(super) fn integer_set(source: &mut Source<'_>) -> io::Result<Option<Digest>> {
    let mut content = Content::open(source)?;
    let width = u32::from_le_bytes(content.array()?);
    let count = u32::from_le_bytes(content.array()?);
    if u64::from(width) * u64::from(count) != content.left() {
        return Err(damaged("the declared length of an integer set is wrong"));
    }
    let mut members = Collected::default();
    for _ in 0..count {
        let member = match width {
            2 => i16::from_le_bytes(content.array()?).into(),
            4 => i32::from_le_bytes(content.array()?).into(),
            8 => i64::from_le_bytes(content.array()?),
            other => return Err(damaged(format!("a set cannot have integers of {other} bytes"))),
        };
        members.add(Digest::of(member.to_string().as_bytes()));
    }
    content.close()?;
    Ok(finish(members))
}

fn scored(member: Digest, score: f64) -> io::Result<Digest> {
    if score.is_nan() {
        return Err(damaged("a score is not a number"));
    }
    // Minus zero is zero: packed sets do not keep the sign.
    Ok(digest_of([member.as_bytes(), &(score + 0.0).to_le_bytes()]))
}

pub(super) fn sorted_set(source: &mut Source<'_>) -> io::Result<Option<Digest>> {
    let mut members = Collected::default();
    for _ in 0..source.length()? {
        let member = content::string(source)?;
        members.add(scored(member, f64::from_le_bytes(source.array()?))?);
    }
    Ok(finish(members))
}

pub(super) fn packed_sorted_set(source: &mut Source<'_>, packing: Packing) -> io::Result<Option<Digest>> {
    let mut packed = Packed::open(Content::open(source)?, packing)?;
    let mut members = Collected::default();
    while let Some(member) = packed.digest()? {
        let score = packed.number()?.ok_or_else(|| damaged(HALF))?;
        members.add(scored(member, score)?);
    }
    packed.close()?;
    Ok(finish(members))
}

/// The fields of a hash that have not expired at a cutoff.
struct Fields {
    kept: Collected,
    cutoff: i64,
}

impl Fields {
    fn new(cutoff: i64) -> Self {
        Self { kept: Collected::default(), cutoff }
    }

    /// Adds a field that expires at `expiry`, in milliseconds since 1970; zero for never.
    fn add(&mut self, field: Digest, value: Digest, expiry: u64) -> io::Result<()> {
        let end = i64::try_from(expiry).map_err(|_| damaged("the expiry of a field is out of range"))?;
        if end == 0 || end >= self.cutoff {
            self.kept.add(digest_of([field.as_bytes(), value.as_bytes(), &expiry.to_le_bytes()]));
        }
        Ok(())
    }

    fn finish(self) -> Option<Digest> {
        finish(self.kept)
    }
}

pub(super) fn hash(source: &mut Source<'_>) -> io::Result<Option<Digest>> {
    let mut fields = Fields::new(0);
    for _ in 0..source.length()? {
        let field = content::string(source)?;
        fields.add(field, content::string(source)?, 0)?;
    }
    Ok(fields.finish())
}

pub(super) fn packed_hash(source: &mut Source<'_>, packing: Packing) -> io::Result<Option<Digest>> {
    let mut packed = Packed::open(Content::open(source)?, packing)?;
    let mut fields = Fields::new(0);
    while let Some(field) = packed.digest()? {
        let value = packed.digest()?.ok_or_else(|| damaged(HALF))?;
        fields.add(field, value, 0)?;
    }
    packed.close()?;
    Ok(fields.finish())
}

/// Reads a hash whose fields have expiries. Each is stored as its distance from the earliest
/// expiry, plus one; zero for never.
pub(super) fn ending_hash(source: &mut Source<'_>, cutoff: i64) -> io::Result<Option<Digest>> {
    let earliest = u64::from_le_bytes(source.array()?);
    let mut fields = Fields::new(cutoff);
    for _ in 0..source.length()? {
        let expiry = match source.length()? {
            0 => 0,
            distance => earliest
                .checked_add(distance - 1)
                .ok_or_else(|| damaged("the expiry of a field is out of range"))?,
        };
        let field = content::string(source)?;
        fields.add(field, content::string(source)?, expiry)?;
    }
    Ok(fields.finish())
}

pub(super) fn packed_ending_hash(source: &mut Source<'_>, cutoff: i64) -> io::Result<Option<Digest>> {
    // The earliest expiry, which the fields have too.
    source.milliseconds()?;
    let mut packed = Packed::open(Content::open(source)?, Packing::Listpack)?;
    let mut fields = Fields::new(cutoff);
    while let Some(field) = packed.digest()? {
        let value = packed.digest()?.ok_or_else(|| damaged(HALF))?;
        let expiry = packed.number()?.ok_or_else(|| damaged(HALF))?;
        fields.add(field, value, expiry)?;
    }
    packed.close()?;
    Ok(fields.finish())
}
