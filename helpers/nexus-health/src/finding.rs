//! What a check has found, and what it measured.

use std::fmt;

use nexus_cli::text::printable;
use serde::Serialize;

use crate::threshold::{Limits, Threshold};

/// How it is. The worse, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// It is well.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// It will be bad if nobody looks at it.
    Warning,
    /// It is bad now.
    Critical,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// One thing that was looked at. Its name is the same at every look, so that it can be followed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// Small letters, digits and hyphens.
    pub(crate) id: String,
    /// How it is, by this look alone.
    pub(crate) level: Level,
    /// One sentence for people.
    pub(crate) sentence: String,
    /// What to do about it; empty when it is well.
    pub(crate) advice: String,
    /// The value behind the level, where it is one.
    pub(crate) measured: Option<(f64, Limits)>,
    /// How many looks in a row must say that it has become worse before it counts.
    pub(crate) patience: u32,
    /// How many must say that it has become better.
    pub(crate) calm: u32,
}

/// So many looks of a frequent check must say that it is better.
pub(crate) const CALM: u32 = 3;

impl Finding {
    /// It is well.
    pub(crate) fn ok(id: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self::of(Level::Ok, id, sentence, "")
    }

    /// It will be bad.
    pub(crate) fn warning(
        id: impl Into<String>,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::of(Level::Warning, id, sentence, advice)
    }

    /// It is bad.
    pub(crate) fn critical(
        id: impl Into<String>,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::of(Level::Critical, id, sentence, advice)
    }

    /// It could not be looked at. One look may fail for a reason that is gone at the next.
    pub(crate) fn unknown(
        id: impl Into<String>,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::of(Level::Unknown, id, sentence, advice).patient(2)
    }

    /// As `value` and its thresholds say. Without thresholds it is always well.
    pub(crate) fn measured(
        id: impl Into<String>,
        value: f64,
        threshold: Threshold,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let Threshold(limits) = threshold;
        let level = limits.map_or(Level::Ok, |limits| limits.level(value));
        let finding = Self::of(level, id, sentence, advice);
        Self { measured: limits.map(|limits| (value, limits)), ..finding }
    }

    /// The same, believed only after so many looks in a row.
    #[must_use]
    pub(crate) fn patient(self, patience: u32) -> Self {
        Self { patience, ..self }
    }

    fn of(
        level: Level,
        id: impl Into<String>,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        // They may quote text of a server, a file or a unit.
        let (id, sentence, advice): (String, String, String) = (id.into(), sentence.into(), advice.into());
        let (sentence, advice) = (printable(&sentence), printable(&advice));
        Self { id, level, sentence, advice, measured: None, patience: 1, calm: CALM }
    }
}

/// A number for the metrics file. Its unit is in its name, as Prometheus wants it (seconds, bytes, ratio, celsius).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    /// Without the leading `nexus_`.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) help: &'static str,
    /// Name and value of the one label, where several things have this number.
    pub(crate) label: Option<(&'static str, String)>,
    /// Its value.
    pub(crate) value: f64,
}

impl Metric {
    /// A number of which there is one.
    pub(crate) fn one(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, label: None, value }
    }

    /// A number of one of several things.
    pub(crate) fn of(
        name: &'static str,
        help: &'static str,
        label: (&'static str, impl Into<String>),
        value: f64,
    ) -> Self {
        Self { name, help, label: Some((label.0, label.1.into())), value }
    }
}
