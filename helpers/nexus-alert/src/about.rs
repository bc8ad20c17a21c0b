//! What a problem is about; its name is also the name of the problem's file, so it is checked strictly.

use std::fmt;
use std::str::FromStr;

use nexus_problems::Id;
use serde::{Deserialize, Serialize};

use crate::unit::UnitName;

/// What follows the name of a problem that nexus-health has found. No unit's name ends so.
const OF_HEALTH: &str = ".health";

/// The name of the test alert in the queue.
const TEST: &str = "monthly.test";

/// What a problem is about. As text: `nexus-backup.service`, `disk-backups.health`, `monthly.test`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum About {
    /// A unit that has failed.
    Unit(UnitName),
    /// Something that nexus-health has found.
    Health(Id),
    /// Nothing: the test alert, which takes the same way as all.
    Test,
}

impl About {
    /// The unit, if it is about one.
    pub(crate) fn unit(&self) -> Option<&UnitName> {
        match self {
            Self::Unit(unit) => Some(unit),
            Self::Health(_) | Self::Test => None,
        }
    }
}

impl FromStr for About {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == TEST {
            return Ok(Self::Test);
        }
        if let Some(id) = text.strip_suffix(OF_HEALTH) {
            return id.parse().map(Self::Health);
        }
        let unit: UnitName = text.parse()?;
        // A name without a suffix is a unit's to a person, and no problem's file.
        if unit.as_str() == text { Ok(Self::Unit(unit)) } else { Err(format!("{text} names no problem")) }
    }
}

impl TryFrom<String> for About {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<About> for String {
    fn from(about: About) -> Self {
        about.to_string()
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(unit) => write!(f, "{unit}"),
            Self::Health(id) => write!(f, "{id}{OF_HEALTH}"),
            Self::Test => f.write_str(TEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_findings_and_the_test_are_told_apart() {
        let about = |text: &str| text.parse::<About>();
        assert_eq!(about("nexus-backup.service"), Ok(About::Unit("nexus-backup".parse().unwrap())));
        assert_eq!(about("disk-backups.health"), Ok(About::Health("disk-backups".parse().unwrap())));
        assert_eq!(about("monthly.test"), Ok(About::Test));
        // Other files of the directory.
        for other in ["tested", "", ".lock", "../x.health", "X.health"] {
            assert!(about(other).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_name_leads_out_of_the_directory(text in "\\PC{0,40}(\\.health|\\.service)?") {
            if let Ok(about) = text.parse::<About>() {
                prop_assert!(!text.contains('/') && !text.starts_with('.'));
                prop_assert_eq!(about.to_string(), text);
            }
        }
    }
}
