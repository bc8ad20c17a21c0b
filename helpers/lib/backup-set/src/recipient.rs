//! Parses age recipients. NEXUS encrypts only to age's own keys (X25519), and its errors name
//! anything else in the file.

use age::x25519::Recipient;

/// The advice, the same as in install.d/setup/recipients.sh.
pub(super) const ADVICE: &str = "NEXUS encrypts to age's own keys only: put a recipient there that age-keygen -y prints (age1…, 62 characters)";

/// The longest name of a kind. A longer one is a misspelt recipient.
const LONGEST_KIND: usize = 16;

/// Parses a recipient.
///
/// # Errors
/// The kind of `text`. Never the text itself: it may be an identity, put there by mistake.
pub(super) fn read(text: &str) -> Result<Recipient, String> {
    text.parse().map_err(|_| kind_of(text))
}

fn kind_of(text: &str) -> String {
    let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    let upper = text.get(..16).unwrap_or(text).to_ascii_uppercase();
    // Bech32 has a `1` between the kind and the data, and none in the data.
    let kind = text.strip_prefix("age1").and_then(|rest| rest.rsplit_once('1')).map(|(kind, _)| kind);
    let is_kind = |kind: &&str| {
        (1..=LONGEST_KIND).contains(&kind.len())
            && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    match kind.filter(is_kind) {
        Some("yubikey") => "a recipient of a YubiKey (age1yubikey1…)".to_owned(),
        Some("pq") => "a post-quantum recipient (age1pq1…)".to_owned(),
        Some(kind) => format!("a recipient of another kind (age1{kind}1…)"),
        None if begins(&["age1"]) => "a misspelt age recipient".to_owned(),
        None if upper.starts_with("AGE-SECRET-KEY-") || upper.starts_with("AGE-PLUGIN-") => {
            "an identity, which opens backups and must not be there".to_owned()
        }
        None if begins(&["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"]) => "an SSH key".to_owned(),
        None => "no age recipient".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines of a text, a tab, and its kind. The test of nexus-setup reads them too.
    const KINDS: &str = include_str!("../../../../tests/live/install/recipients.tsv");

    #[test]
    fn the_kind_of_another_text_than_a_recipient_is_named() {
        let kinds: Vec<(&str, &str)> = KINDS.lines().filter_map(|line| line.split_once('\t')).collect();
        assert!(kinds.len() > 10);
        for (text, kind) in kinds {
            assert_eq!(read(text).err().unwrap_or_default(), kind, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_identity_is_never_quoted(secret in "[02-9AC-HJ-NP-Z]{20,60}") {
            for text in [format!("AGE-SECRET-KEY-1{secret}"), format!("age-secret-key-pq-1{secret}"), format!("age1{secret}")] {
                prop_assert!(!kind_of(&text).contains(&secret));
            }
        }

        #[test]
        fn any_text_has_a_kind(text in "\\PC{0,80}") {
            prop_assert!(!kind_of(&text).is_empty());
        }
    }
}
