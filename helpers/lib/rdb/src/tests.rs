//! Reads files that real servers wrote (testdata/*.redis contains the commands), whole and damaged.

use std::io::{self, Read};

use jiff::Timestamp;
use proptest::prelude::*;

use super::summary::{Collected, Summary};
use super::{Error, summarize};

const COMMON: [&[u8]; 4] = [
    include_bytes!("testdata/common-6.0.rdb"),
    include_bytes!("testdata/common-7.0.rdb"),
    include_bytes!("testdata/common-8.0-packed.rdb"),
    include_bytes!("testdata/common-8.0-spread.rdb"),
];
const NEWER_PACKED: &[u8] = include_bytes!("testdata/newer-8.0-packed.rdb");
/// This file has no checksum.
const NEWER_SPREAD: &[u8] = include_bytes!("testdata/newer-8.0-spread.rdb");
const STREAMS: [&[u8]; 3] = [
    include_bytes!("testdata/stream-6.0.rdb"),
    include_bytes!("testdata/stream-7.0.rdb"),
    include_bytes!("testdata/stream-8.0.rdb"),
];

fn read(file: &[u8]) -> Result<Summary, Error> {
    summarize(file, Timestamp::UNIX_EPOCH)
}

/// Reads the file with a cutoff after every expiry.
fn read_late(file: &[u8]) -> Summary {
    summarize(file, Timestamp::MAX).unwrap()
}

fn types(summary: &Summary, database: u32) -> Vec<(&'static str, u64)> {
    summary.databases[&database].by_type.iter().map(|(name, count)| (*name, *count)).collect()
}

#[track_caller]
fn refused(file: &[u8], words: &str) {
    let failure = read(file).unwrap_err();
    assert!(failure.is_damage());
    assert!(failure.to_string().contains(words), "{failure}");
}

#[test]
fn every_version_and_encoding_of_the_same_data_has_the_same_summary() {
    let first = read(COMMON[0]).unwrap();
    assert_eq!(types(&first, 0), [("hash", 2), ("list", 2), ("set", 4), ("string", 10), ("zset", 1)]);
    assert_eq!(types(&first, 3), [("string", 1)]);
    assert_eq!((first.keys(), first.databases[&0].with_ttl), (20, 2));
    for other in &COMMON[1..] {
        assert_eq!(read(other).unwrap(), first);
    }
    let newer = read(NEWER_PACKED).unwrap();
    assert_eq!(types(&newer, 0), [("hash", 3), ("module", 2)]);
    assert_eq!(newer.functions.count, 2);
    assert_eq!(read(NEWER_SPREAD).unwrap(), newer);
}

#[test]
fn streams_of_every_generation_are_read_and_newer_ones_hold_more() {
    let summaries = STREAMS.map(|file| read(file).unwrap());
    for summary in &summaries {
        assert_eq!(types(summary, 0), [("stream", 2)]);
    }
    assert_ne!(summaries[0], summaries[1]);
    assert_ne!(summaries[1], summaries[2]);
}

#[test]
fn keys_and_fields_that_expire_before_the_cutoff_are_left_out() {
    let late = read_late(COMMON[2]);
    assert_eq!(types(&late, 0), [("hash", 1), ("list", 2), ("set", 4), ("string", 9), ("zset", 1)]);
    assert_eq!(late.databases[&0].with_ttl, 0);
    // The hash whose fields all expire is gone; the others have fewer fields.
    let (newer, late) = (read(NEWER_PACKED).unwrap(), read_late(NEWER_PACKED));
    assert_eq!(types(&late, 0), [("hash", 2), ("module", 2)]);
    assert_ne!(late.databases[&0].keys, newer.databases[&0].keys);
    assert_eq!(late, read_late(NEWER_SPREAD));
}

#[test]
fn a_key_that_expires_at_the_cutoff_is_kept() {
    let at = |millisecond| {
        summarize(NEWER_PACKED, Timestamp::from_millisecond(millisecond).unwrap()).unwrap().keys()
    };
    assert_eq!((at(4_102_444_800_000), at(4_102_444_800_001)), (5, 4));
}

#[test]
fn a_truncated_file_is_refused() {
    for file in STREAMS.into_iter().chain([NEWER_PACKED, NEWER_SPREAD]) {
        for end in 0..file.len() {
            refused(&file[..end], "the file is truncated");
        }
    }
}

#[test]
fn a_file_with_a_wrong_bit_anywhere_is_refused() {
    for file in STREAMS.into_iter().chain([NEWER_PACKED]) {
        for at in 0..file.len() {
            let mut damaged = file.to_vec();
            damaged[at] ^= 1 << (at % 8);
            refused(&damaged, "at byte ");
        }
    }
}

#[test]
fn an_unknown_version_or_another_format_is_refused() {
    refused(
        b"REDIS0013\xff\0\0\0\0\0\0\0\0",
        "version 13 is not supported; this NEXUS reads 9 (Redis 5) to 12",
    );
    refused(b"REDIS+012\xff\0\0\0\0\0\0\0\0", "not an RDB file");
    refused(b"PGDMP0012\xff\0\0\0\0\0\0\0\0", "not an RDB file");
    refused(b"REDIS0012\x1a\x01a\x01b\xff\0\0\0\0\0\0\0\0", "unknown value or opcode of type 26");
    refused(b"REDIS0012\xff\0\0\0\0\0\0\0\0\n", "data after the end of the file");
    assert_eq!(read(b"REDIS0012\xff\0\0\0\0\0\0\0\0").unwrap(), Summary::default());
}

#[test]
fn a_huge_length_is_a_truncated_file_and_not_an_allocation() {
    let most = b"\x81\xff\xff\xff\xff\xff\xff\xff\xff";
    // A string, a list, a set, a hash, a sorted set, nodes of a list, parts of a stream.
    for kind in [0, 1, 2, 4, 5, 14, 18, 15, 21] {
        refused(&[b"REDIS0012", &[kind][..], b"\x01k", most].concat(), "the file is truncated");
    }
    // A compressed string, with a wrong compressed and a wrong decompressed length.
    refused(&[b"REDIS0012\0\x01k\xc3".as_slice(), most, b"\x01\0a"].concat(), "the file is truncated");
    refused(
        &[b"REDIS0012\0\x01k\xc3\x02".as_slice(), most, b"\0a"].concat(),
        "shorter than its declared length",
    );
}

#[test]
fn an_empty_collection_is_not_a_key() {
    assert_eq!(read(b"REDIS0012\x02\x01k\0\x04\x01h\0\xff\0\0\0\0\0\0\0\0").unwrap(), Summary::default());
}

#[test]
fn an_error_of_the_input_is_passed_on() {
    struct Stopped;
    impl Read for Stopped {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("stopped by a signal"))
        }
    }
    let failure = summarize(COMMON[0].take(100).chain(Stopped), Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(!failure.is_damage());
    assert_eq!(failure.to_string(), "at byte 100: stopped by a signal");
}

#[test]
fn the_digest_equals_those_in_older_proofs() {
    let database = &read(COMMON[0]).unwrap().databases[&3];
    let known = "3ee63b48bbf560cb08b24d2f64f60c5e05c52a82e878f6abf452b43e366839f8".parse().unwrap();
    assert_eq!(database.keys, Collected { count: 1, digest: known });
}

proptest! {
    #[test]
    fn rubbish_never_panics(at in 9..NEWER_SPREAD.len(), rubbish in prop::collection::vec(any::<u8>(), 1..20)) {
        let mut damaged = NEWER_SPREAD.to_vec();
        damaged.splice(at..damaged.len().min(at + rubbish.len()), rubbish);
        if let Err(failure) = read(&damaged) {
            prop_assert!(failure.is_damage());
        }
    }
}
