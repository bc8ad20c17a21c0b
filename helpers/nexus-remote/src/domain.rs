//! The names that this machine may have. The parser is strict, because the name becomes part of Caddy's configuration.

use std::net::Ipv4Addr;
use std::str::FromStr;

/// The longest DNS name, and its longest label.
const LONGEST: (usize, usize) = (253, 63);

/// Last labels of names for which no public authority issues certificates (RFC 2606, 6762, 8375; ICANN's `internal`).
const RESERVED: [&str; 9] =
    ["local", "lan", "home", "internal", "localhost", "test", "example", "invalid", "arpa"];

/// A DNS name in lower case, or an IPv4 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Domain(pub(crate) String);

impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_part = |part: &str| {
            (1..=LONGEST.1).contains(&part.len())
                && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let is_name = text.len() <= LONGEST.0 && !is_number && text.split('.').all(is_part);
        if is_name || text.parse::<Ipv4Addr>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        Err("expected one name of lower-case letters, digits and hyphens, such as memory.example.org, or an IPv4 address; no https://, no port"
            .to_owned())
    }
}

impl Domain {
    /// Returns why no public authority issues a certificate for the name.
    pub(crate) fn why_not_public(&self) -> Option<&'static str> {
        if self.0.parse::<Ipv4Addr>().is_ok() {
            return Some("it is an address");
        }
        let end = self.0.rsplit('.').next().unwrap_or_default();
        if !self.0.contains('.') {
            return Some("it has no dot");
        }
        RESERVED.contains(&end).then_some("names with this ending are not on the Internet")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_one_name_or_address_is_accepted() {
        for right in ["memory.example.org", "nas", "192.168.1.5", "xn--mara-zra.example", "a.b.c.d.e"] {
            assert!(right.parse::<Domain>().is_ok(), "{right}");
        }
        for wrong in [
            "",
            ".",
            "a..b",
            "-a.org",
            "a-.org",
            "A.org",
            "ñ.org",
            "a b",
            "a{b",
            "https://a.org",
            "a.org:443",
            "a.org/x",
            "1.2.3",
            "1.2.3.4.5",
            "999.1.1.1",
            "*.a.org",
            "a_b.org",
            "[::1]",
            "::1",
        ] {
            assert!(wrong.parse::<Domain>().is_err(), "{wrong}");
        }
        assert!("a".repeat(64).parse::<Domain>().is_err());
        assert!(["a"; 130].join(".").parse::<Domain>().is_err());
    }

    #[test]
    fn names_that_are_not_on_the_internet_are_recognized() {
        let why = |name: &str| name.parse::<Domain>().unwrap().why_not_public();
        assert_eq!(why("memory.example.org"), None);
        for name in ["nas", "nas.local", "nas.home.arpa", "192.168.1.5", "nexus.test"] {
            assert!(why(name).is_some(), "{name}");
        }
    }

    proptest! {
        /// No accepted text has a character that Caddy could read as more than a name.
        #[test]
        fn only_the_characters_of_names_are_accepted(text in "\\PC{0,40}") {
            if let Ok(Domain(name)) = text.parse::<Domain>() {
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)));
                prop_assert!(!name.is_empty());
            }
        }
    }
}
