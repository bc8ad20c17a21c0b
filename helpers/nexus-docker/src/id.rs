//! Docker's identifiers. They go back onto command lines, so they are checked.

/// Returns whether `word` is the identifier of a container, or the name of a volume that was created without one.
pub(crate) fn is_id(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns whether `word` is the identifier of an image.
pub(crate) fn is_image_id(word: &str) -> bool {
    word.strip_prefix("sha256:").is_some_and(is_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_64_hexadecimal_digits() {
        let id = "0123456789abcdef".repeat(4);
        assert!(is_id(&id) && is_image_id(&format!("sha256:{id}")));
        for bad in ["", "--help", "nexus_postgres_data", "0123", &id.to_uppercase(), &format!("{id} --x")] {
            assert!(!is_id(bad), "{bad:?}");
        }
        for bad in ["", "redis:8", "sha256:", "sha256:../x", &id, &format!("sha256:{id}\n{id}")] {
            assert!(!is_image_id(bad), "{bad:?}");
        }
    }
}
