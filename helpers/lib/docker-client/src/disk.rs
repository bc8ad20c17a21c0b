//! The disk space that a restore must leave free for the live server.

/// The bounds of the reserve, in bytes.
const LEAST: u64 = 256 << 20;
const MOST: u64 = 4 << 30;

/// Returns how many bytes of a disk of `size` bytes must stay free: a twentieth, from 256 MiB to 4
/// GiB.
///
/// PostgreSQL stops when it has no space for its write-ahead log.
pub fn reserve(size: u64) -> u64 {
    (size / 20).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_stays_free_within_bounds() {
        assert_eq!(reserve(1 << 30), LEAST);
        assert_eq!(reserve(20 << 30), 1 << 30);
        assert_eq!(reserve(1 << 50), MOST);
    }
}
