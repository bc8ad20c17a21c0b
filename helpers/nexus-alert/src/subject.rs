//! The subject of an incident. Its text is also the name of the incident's file, so it is checked strictly.

use std::fmt;
use std::str::FromStr;

use nexus_problems::ProblemId;
use serde::{Deserialize, Serialize};

use crate::unit::UnitName;

/// The suffix of a problem of nexus-health. No unit has it.
const HEALTH_SUFFIX: &str = ".health";

/// The text of [`Subject::Test`].
const TEST: &str = "monthly.test";

/// What an incident is about. As text: `nexus-backup.service`, `disk-backups.health`, `monthly.test`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Subject {
    /// A unit that failed.
    Unit(UnitName),
    /// A problem that nexus-health reported.
    Health(ProblemId),
    /// The test alert, which is queued like any other.
    Test,
}

impl Subject {
    /// Returns the unit, if the subject is one.
    pub(crate) fn unit(&self) -> Option<&UnitName> {
        match self {
            Self::Unit(unit) => Some(unit),
            Self::Health(_) | Self::Test => None,
        }
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == TEST {
            return Ok(Self::Test);
        }
        if let Some(id) = text.strip_suffix(HEALTH_SUFFIX) {
            return id.parse().map(Self::Health);
        }
        let unit: UnitName = text.parse()?;
        // UnitName completes a name without suffix, which a file never has.
        if unit.as_str() == text {
            Ok(Self::Unit(unit))
        } else {
            Err(format!("{text} is not the subject of an incident"))
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(unit) => write!(f, "{unit}"),
            Self::Health(id) => write!(f, "{id}{HEALTH_SUFFIX}"),
            Self::Test => f.write_str(TEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_problems_and_the_test_are_distinguished() {
        let subject = |text: &str| text.parse::<Subject>();
        assert_eq!(subject("nexus-backup.service"), Ok(Subject::Unit("nexus-backup".parse().unwrap())));
        assert_eq!(subject("disk-backups.health"), Ok(Subject::Health("disk-backups".parse().unwrap())));
        assert_eq!(subject("monthly.test"), Ok(Subject::Test));
        // Other files in the directory.
        for other in ["tested", "", ".lock", "../x.health", "X.health"] {
            assert!(subject(other).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_name_leads_out_of_the_directory(text in "\\PC{0,40}(\\.health|\\.service)?") {
            if let Ok(subject) = text.parse::<Subject>() {
                prop_assert!(!text.contains('/') && !text.starts_with('.'));
                prop_assert_eq!(subject.to_string(), text);
            }
        }
    }
}
