//! Any SHA256SUMS is refused in one line, or parsed so that writing it gives the same, and names no file outside of its set.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_backup_set::checksums::{is_plain, Checksums};

fuzz_target!(|bytes: &[u8]| {
    match Checksums::parse(bytes) {
        Ok(sums) => {
            for name in sums.0.keys() {
                assert!(is_plain(name) && !name.starts_with('/') && name.split('/').all(|part| part != ".."));
            }
            assert_eq!(Checksums::parse(sums.to_text().as_bytes()), Ok(sums));
        }
        Err(why) => assert!(!why.is_empty() && !why.contains('\n')),
    }
});
