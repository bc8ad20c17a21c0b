//! Summarizes a snapshot, with this workspace's errors.

use std::io::Read;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_rdb::Summary;

/// Reads an RDB file from `input` and returns its summary; see [`nexus_rdb::summarize`].
///
/// # Errors
/// Data (65) when the input is not a whole RDB file or contains something of a newer version; the
/// input's own errors.
pub fn summarize(input: impl Read, cutoff: Timestamp) -> Result<Summary> {
    nexus_rdb::summarize(input, cutoff).or_else(|error| {
        let doing = || format!("reading an RDB file, at byte {}", error.position);
        if error.is_damage() {
            return Err(Failure::new(Exit::Data, doing()).because(error.cause.to_string()));
        }
        Err(error.cause).or_fail_io(doing)
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// An input that fails with a `Failure`.
    struct Stopped;

    impl Read for Stopped {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(Failure::new(Exit::TryLater, "stopped by a signal").into())
        }
    }

    #[test]
    fn damage_is_reported_with_its_position_and_the_inputs_failure_is_passed_on() {
        let damaged = summarize(&b"REDIS0011\xff"[..], Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(damaged.exit(), Exit::Data);
        assert!(damaged.to_string().starts_with("reading an RDB file, at byte 10: "), "{damaged}");
        let stopped = summarize(Stopped, Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!((stopped.exit(), stopped.to_string().as_str()), (Exit::TryLater, "stopped by a signal"));
    }
}
