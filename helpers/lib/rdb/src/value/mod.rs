//! Reads each kind of value to one digest.

mod collection;
mod list;
mod module;
mod stream;
mod vector_set;

use std::io;

use nexus_digest::Digest;

use crate::content;
use crate::packed::Packing;
use crate::source::{Source, damaged};

pub(super) use module::skip_data as skip_module_data;

/// The type and encoding of a value (rdb.h, `RDB_TYPE_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    String,
    /// One string per element.
    List,
    /// A list of packed collections.
    Quicklist(Packing),
    /// The same, with a large element in a node of its own.
    Quicklist2,
    Set,
    IntegerSet,
    PackedSet,
    SortedSet,
    PackedSortedSet(Packing),
    Hash,
    PackedHash(Packing),
    /// A hash whose fields have expiries.
    EndingHash,
    PackedEndingHash,
    /// A stream of generation 1 (Redis 5), 2 (7.0) or 3 (7.2).
    Stream(u8),
    Module,
}

impl Encoding {
    /// Returns the encoding that has this number in an RDB file.
    ///
    /// Encodings that Redis no longer writes since version 5, and those of pre-releases, are
    /// unknown.
    pub(super) fn of(number: u8) -> io::Result<Self> {
        use Packing::{Listpack, Ziplist};
        Ok(match number {
            0 => Self::String,
            1 => Self::List,
            2 => Self::Set,
            4 => Self::Hash,
            5 => Self::SortedSet,
            7 => Self::Module,
            11 => Self::IntegerSet,
            12 => Self::PackedSortedSet(Ziplist),
            13 => Self::PackedHash(Ziplist),
            14 => Self::Quicklist(Ziplist),
            15 => Self::Stream(1),
            16 => Self::PackedHash(Listpack),
            17 => Self::PackedSortedSet(Listpack),
            18 => Self::Quicklist2,
            19 => Self::Stream(2),
            20 => Self::PackedSet,
            21 => Self::Stream(3),
            24 => Self::EndingHash,
            25 => Self::PackedEndingHash,
            other => return Err(damaged(format!("unknown value or opcode of type {other}"))),
        })
    }

    /// Returns Redis's name of the type (`TYPE key`).
    pub(super) fn type_name(self) -> &'static str {
        self.type_of().0
    }

    /// Returns our own byte for the type.
    pub(super) fn type_tag(self) -> u8 {
        self.type_of().1
    }

    fn type_of(self) -> (&'static str, u8) {
        match self {
            Self::String => ("string", b's'),
            Self::List | Self::Quicklist(_) | Self::Quicklist2 => ("list", b'l'),
            Self::Set | Self::IntegerSet | Self::PackedSet => ("set", b'e'),
            Self::SortedSet | Self::PackedSortedSet(_) => ("zset", b'z'),
            Self::Hash | Self::PackedHash(_) | Self::EndingHash | Self::PackedEndingHash => ("hash", b'h'),
            Self::Stream(_) => ("stream", b'x'),
            Self::Module => ("module", b'm'),
        }
    }

    /// Reads the next value and returns its digest. `None` if it is empty at `cutoff`: Redis too
    /// has no key for an empty collection.
    pub(super) fn read(self, source: &mut Source<'_>, cutoff: i64) -> io::Result<Option<Digest>> {
        match self {
            Self::String => content::string(source).map(Some),
            Self::List => list::plain(source),
            Self::Quicklist(packing) => list::quick(source, packing),
            Self::Quicklist2 => list::quick2(source),
            Self::Set => collection::set(source),
            Self::IntegerSet => collection::integer_set(source),
            Self::PackedSet => collection::packed_set(source),
            Self::SortedSet => collection::sorted_set(source),
            Self::PackedSortedSet(packing) => collection::packed_sorted_set(source, packing),
            Self::Hash => collection::hash(source),
            Self::PackedHash(packing) => collection::packed_hash(source, packing),
            Self::EndingHash => collection::ending_hash(source, cutoff),
            Self::PackedEndingHash => collection::packed_ending_hash(source, cutoff),
            Self::Stream(generation) => stream::read(source, generation).map(Some),
            Self::Module => module::read(source).map(Some),
        }
    }
}
