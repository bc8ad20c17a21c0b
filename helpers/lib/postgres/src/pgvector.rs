//! Which pgvector is safe.

/// The first pgvector whose VACUUM does not damage an HNSW index under concurrent writes
/// (pgvector#988, #993).
const FIRST_SAFE: [u32; 3] = [0, 8, 4];

/// Whether VACUUM of this version of pgvector leaves HNSW indexes whole.
pub fn is_safe(version: &str) -> bool {
    let number =
        |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
    let mut parts: Vec<u32> = version.split('.').map(number).collect();
    parts.resize(3, 0);
    parts.as_slice() >= FIRST_SAFE.as_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(["0.8.4", "0.8.7", "0.8.10", "0.9", "1.0.0-dev"].into_iter().all(is_safe));
        assert!(!["0.8.3", "0.8", "0.7.9", "x"].into_iter().any(is_safe));
    }
}
