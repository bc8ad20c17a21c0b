//! What a snapshot holds, in a form that two snapshots can be compared by.

use std::collections::BTreeMap;

use nexus_digest::{Digest, Hasher};
use serde::Serialize;

/// What an RDB file holds. Two that are equal hold the same data, however they are encoded and ordered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// By number; a database without keys is not in it.
    pub databases: BTreeMap<u32, Database>,
    /// Of the libraries of functions.
    pub functions: Collected,
}

/// What one database holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Database {
    /// Keys by type: string, list, set, zset, hash, stream, module.
    pub by_type: BTreeMap<&'static str, u64>,
    /// Keys with a time to live.
    pub with_ttl: u64,
    /// Of every key's name, type, expiry and value.
    pub keys: Collected,
}

impl Summary {
    /// Keys of all databases.
    pub fn keys(&self) -> u64 {
        self.databases.values().map(|database| database.keys.count).sum()
    }
}

/// Things whose order means nothing: how many, and the sum (modulo 2^256) of their SHA-256 digests.
///
/// Each thing counts as often as it is there. The sum tells accidents apart, and whoever did not choose all of the
/// data; it is no defence against one who did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// How many.
    pub count: u64,
    /// The sum, as a number of 32 bytes, the lowest first.
    pub digest: Digest,
}

impl Default for Collected {
    fn default() -> Self {
        Self { count: 0, digest: Digest::from_bytes([0; 32]) }
    }
}

impl Collected {
    /// Adds one.
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

    /// One digest of all that was added.
    pub(super) fn finish(&self) -> Digest {
        digest_of([&self.count.to_le_bytes(), self.digest.as_bytes()])
    }
}

/// The digest of parts one behind the other; all but at most one have a fixed length, so that none can stand for another.
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
        fn order_means_nothing_and_number_does(things in prop::collection::vec(any::<u64>(), 1..20)) {
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
