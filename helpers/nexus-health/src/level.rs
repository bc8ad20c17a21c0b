//! The level of a finding.

use std::fmt;

use serde::Serialize;

/// The level of a finding, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FindingLevel {
    /// Everything is well.
    Ok,
    /// The check could not be made.
    Unknown,
    /// It becomes critical if nobody acts.
    Warning,
    /// It must be fixed now.
    Critical,
}

impl fmt::Display for FindingLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}
