//! The name of a unit. It is also the name of its incident's file, so it is checked strictly.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a unit with its suffix, such as `nexus-backup.service`. It contains no `/` and does not start with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct UnitName(String);

/// The suffixes of systemd.unit(5).
const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".slice",
    ".scope",
];

/// The longest name in bytes. systemd allows 255, and the name of the file adds its own suffix.
const LONGEST: usize = 240;

impl UnitName {
    /// Returns the name with its suffix.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UnitName {
    type Err = String;

    /// Parses a name. Without a suffix it names a service, as for systemctl.
    fn from_str(text: &str) -> Result<Self, String> {
        let has_suffix = SUFFIXES.iter().any(|suffix| text.ends_with(suffix));
        let name = if has_suffix { text.to_owned() } else { format!("{text}.service") };
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if name.len() <= LONGEST && begins_well && name.chars().all(is_allowed) {
            Ok(Self(name))
        } else {
            Err("not the name of a unit; expected letters, digits and :-_.@, such as nexus-backup".to_owned())
        }
    }
}

impl TryFrom<String> for UnitName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<UnitName> for String {
    fn from(name: UnitName) -> Self {
        name.0
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_without_suffix_is_a_service() {
        let name = |text: &str| text.parse::<UnitName>().map(String::from);
        assert_eq!(name("nexus-backup").as_deref(), Ok("nexus-backup.service"));
        assert_eq!(name("nexus-backup.timer").as_deref(), Ok("nexus-backup.timer"));
        assert_eq!(name("nexus-docker@1-2").as_deref(), Ok("nexus-docker@1-2.service"));
    }

    proptest! {
        #[test]
        fn no_name_leads_out_of_the_directory(text in "\\PC{0,40}") {
            if let Ok(name) = text.parse::<UnitName>() {
                prop_assert!(!name.as_str().contains('/') && !name.as_str().starts_with('.'));
                prop_assert_eq!(name.as_str().parse::<UnitName>().unwrap(), name);
            }
        }
    }
}
