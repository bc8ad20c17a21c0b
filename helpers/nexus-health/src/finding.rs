//! Findings and metrics.

use nexus_cli::text::{printable, shortened};

use crate::level::FindingLevel;
use crate::threshold::{Limits, Threshold};

/// A sentence and its advice are cut after this many characters, because they may quote what another user has made. nexus-alert shows
/// fewer, after it has masked secrets: so it never shows the half of a secret that was cut here.
const LONGEST: usize = 1000;

/// The result of checking one thing. Its name is the same in every run, so that changes can be followed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// The name: small letters, digits and hyphens.
    pub(crate) id: String,
    /// The level by this run alone.
    pub(crate) level: FindingLevel,
    /// One sentence for people.
    pub(crate) sentence: String,
    /// What to do; empty when everything is well.
    pub(crate) advice: String,
    /// The measured value and its thresholds, if the level depends on one.
    pub(crate) measured: Option<(f64, Limits)>,
    /// How many runs in a row must report a worse level before it counts.
    pub(crate) patience: u32,
    /// How many runs in a row must report a better level before it counts.
    pub(crate) calm: u32,
}

/// The default of [`Finding::calm`], for a check that runs often.
pub(crate) const CALM: u32 = 3;

impl Finding {
    /// Returns a finding that everything is well.
    pub(crate) fn ok(id: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self::of(FindingLevel::Ok, id, sentence, "")
    }

    /// Returns a warning.
    pub(crate) fn warning(
        id: impl Into<String>,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::of(FindingLevel::Warning, id, sentence, advice)
    }

    /// Returns a critical finding.
    pub(crate) fn critical(
        id: impl Into<String>,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::of(FindingLevel::Critical, id, sentence, advice)
    }

    /// Returns a finding that the check could not be made. It counts after two runs, because the cause may be gone in the next.
    pub(crate) fn unknown(
        id: impl Into<String>,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::of(FindingLevel::Unknown, id, sentence, advice).patient(2)
    }

    /// Returns a finding whose level depends on `value`. Without thresholds the level is always ok.
    pub(crate) fn measured(
        id: impl Into<String>,
        value: f64,
        threshold: Threshold,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let Threshold(limits) = threshold;
        let level = limits.map_or(FindingLevel::Ok, |limits| limits.level(value));
        let finding = Self::of(level, id, sentence, advice);
        Self { measured: limits.map(|limits| (value, limits)), ..finding }
    }

    /// Sets how many runs in a row must report this before it counts.
    #[must_use]
    pub(crate) fn patient(self, patience: u32) -> Self {
        Self { patience, ..self }
    }

    /// Adds to the advice, which has SQL, where to type it.
    #[must_use]
    pub(crate) fn in_psql(self, database: &str) -> Self {
        if self.advice.is_empty() {
            return self;
        }
        let advice =
            format!("{}; type SQL into: sudo docker exec -it nexus-postgres psql {database}", self.advice);
        Self { advice: plain(&advice), ..self }
    }

    fn of(
        level: FindingLevel,
        id: impl Into<String>,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (id, sentence, advice): (String, String, String) = (id.into(), sentence.into(), advice.into());
        let (sentence, advice) = (plain(&ended(sentence)), plain(&advice));
        Self { id, level, sentence, advice, measured: None, patience: 1, calm: CALM }
    }
}

/// Makes a text safe to print, and cuts it: it may quote a server, a file or a unit.
fn plain(text: &str) -> String {
    shortened(&printable(text), LONGEST)
}

/// Adds the full stop that is missing if the sentence ends in an error.
fn ended(mut sentence: String) -> String {
    if !sentence.ends_with(['.', '!', '?', '…']) {
        sentence.push('.');
    }
    sentence
}

/// A metric. Its name ends with its unit, by the conventions of Prometheus (seconds, bytes, ratio, celsius).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    /// The name without the leading `nexus_`.
    pub(crate) name: &'static str,
    /// The help text.
    pub(crate) help: &'static str,
    /// The name and value of the label, if the metric has one.
    pub(crate) label: Option<(&'static str, String)>,
    pub(crate) value: f64,
}

impl Metric {
    /// Returns a metric without a label.
    pub(crate) fn one(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, label: None, value }
    }

    /// Returns a metric with a label.
    pub(crate) fn of(
        name: &'static str,
        help: &'static str,
        label: (&'static str, impl Into<String>),
        value: f64,
    ) -> Self {
        Self { name, help, label: Some((label.0, label.1.into())), value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sentence_and_its_advice_are_cut() {
        let long = "ñ".repeat(2 << 20);
        let finding = Finding::critical("ports", long.clone(), long);
        for text in [finding.sentence, finding.advice] {
            assert!(text.chars().count() == LONGEST && text.ends_with("ñ…"), "{} bytes", text.len());
        }
    }

    #[test]
    fn a_sentence_ends_with_one_full_stop() {
        let sentence = |text: &str| Finding::ok("x", text).sentence;
        for text in ["It is down: no such file", "It is down: no such file."] {
            assert_eq!(sentence(text), "It is down: no such file.");
        }
        assert_eq!(sentence("Is it up?"), "Is it up?");
    }

    #[test]
    fn advice_with_sql_says_where_to_type_it() {
        let finding = Finding::warning("x", "It is slow.", "See: SELECT 1").in_psql("nexus");
        assert!(finding.advice.starts_with("See: SELECT 1; "), "{}", finding.advice);
        assert!(finding.advice.ends_with("docker exec -it nexus-postgres psql nexus"), "{}", finding.advice);
        assert_eq!(Finding::ok("x", "It is well.").in_psql("nexus").advice, "");
    }
}
