//! A summary of a snapshot, by which two snapshots can be compared.

use std::collections::BTreeMap;

use nexus_digest::{Digest, Hasher};
use serde::Serialize;

/// The summary of an RDB file. Two files with the same data have equal summaries, however they are
/// encoded and ordered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The databases by number, without empty ones.
    pub databases: BTreeMap<u32, Database>,
    /// The libraries of functions.
    pub functions: Collected,
}

/// The summary of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Database {
    /// Keys by type: string, list, set, zset, hash, stream, module.
    pub by_type: BTreeMap<&'static str, u64>,
    /// Keys with a time to live.
    pub with_ttl: u64,
    /// The keys, each with its name, type, expiry and value.
    pub keys: Collected,
}

impl Summary {
    /// Returns the number of keys in all databases.
    pub fn keys(&self) -> u64 {
        self.databases.values().map(|database| database.keys.count).sum()
    }
}

/// An unordered collection: the number of items and the sum (modulo 2^256) of their SHA-256
/// digests.
///
/// A repeated item counts each time. The sum detects accidents, and changes by anyone who did not
/// choose all of the data. It does not detect changes by someone who did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// The number of items.
    pub count: u64,
    /// The sum, as a little-endian number of 32 bytes.
    pub digest: Digest,
}

impl Default for Collected {
    fn default() -> Self {
        Self { count: 0, digest: Digest::from_bytes([0; 32]) }
    }
}

impl Collected {
    /// Adds an item.
    pub(super) fn add(&mut self, one: Digest) {
        let mut sum = *self.digest.as_bytes();
        let mut carry = 0;
        for (byte, addend) in sum.iter_mut().zip(one.as_bytes()) {
            let total = u16::from(*byte) + u16::from(*addend) + carry;
            [*byte, _] = total.to_le_bytes();
            carry = total >> 8;
        }
        self.digest = Digest::from_bytes(sum);
        self.count += 1;
    }

    /// Returns one digest of the number and the sum.
    pub(super) fn finish(&self) -> Digest {
        digest_of([&self.count.to_le_bytes(), self.digest.as_bytes()])
    }
}

/// Returns the digest of the concatenated parts. All but at most one must have a fixed length, so
/// that two different lists never concatenate to the same bytes.
pub(super) fn digest_of<const N: usize>(parts: [&[u8]; N]) -> Digest {
    let mut hasher = Hasher::default();
    for part in parts {
        hasher.update(part);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_order_does_not_matter_and_the_number_does(things in prop::collection::vec(any::<u64>(), 1..20)) {
            let collect = |things: &mut dyn Iterator<Item = &u64>| {
                let mut collected = Collected::default();
                things.for_each(|thing| collected.add(Digest::of(&thing.to_le_bytes())));
                collected
            };
            let forwards = collect(&mut things.iter());
            prop_assert_eq!(forwards, collect(&mut things.iter().rev()));
            let twice = collect(&mut things.iter().chain(&things[..1]));
            prop_assert_ne!(forwards.digest, twice.digest);
            prop_assert_ne!(forwards.finish(), twice.finish());
        }
    }
}
