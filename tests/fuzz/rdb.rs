//! Any RDB file is refused in one line, as damaged data, or read to its end. This takes little memory (the script limits one
//! allocation), and does not depend on the size of the reads.
#![no_main]

use std::io::Read;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use nexus_rdb::summarize;

/// A reader that returns a few bytes at a time.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let some = buffer.len().min(5);
        self.0.read(&mut buffer[..some])
    }
}

fuzz_target!(|bytes: &[u8]| {
    let all = summarize(bytes, Timestamp::UNIX_EPOCH);
    let again = summarize(Slow(bytes), Timestamp::UNIX_EPOCH);
    match (all, again) {
        (Ok(all), Ok(again)) => {
            assert_eq!(all, again);
            let later = summarize(bytes, Timestamp::MAX).unwrap();
            assert!(later.keys() <= all.keys());
            for database in all.databases.values() {
                assert_eq!(database.by_type.values().sum::<u64>(), database.keys.count);
                assert!(database.with_ttl <= database.keys.count);
            }
        }
        (Err(all), Err(again)) => {
            assert!(all.is_damage());
            assert_eq!(all.to_string(), again.to_string());
            assert!(!all.to_string().contains('\n'));
        }
        (all, again) => panic!("{all:?} and {again:?}"),
    }
});
