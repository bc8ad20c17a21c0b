//! health.json: all that is known, for programs. docs/HEALTH.md describes it.

use jiff::Timestamp;
use serde::Serialize;

use crate::finding::{Level, Metric};
use crate::verdict::Verdict;

/// The version of the document. What is added does not change it, what is taken away does.
pub(crate) const VERSION: u32 = 1;

/// The document.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    version: u32,
    /// When it was written.
    pub(crate) at: Timestamp,
    nexus_version: &'static str,
    /// The worst of all.
    pub(crate) level: Level,
    /// All in one sentence.
    pub(crate) sentence: String,
    /// Everything that is looked at, by name.
    pub(crate) findings: Vec<Row>,
    /// What was measured.
    pub(crate) metrics: Vec<Number>,
    /// Whether it mends, and how often it did.
    pub(crate) healing: Healing,
}

/// One thing that is looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) id: String,
    /// How it is.
    pub(crate) level: Level,
    /// Since when.
    pub(crate) since: Timestamp,
    /// In a sentence.
    pub(crate) sentence: String,
    /// What to do; empty when it is well.
    pub(crate) advice: String,
}

/// A number, under the name it has in the metrics file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Number {
    /// `nexus_…`
    pub(crate) name: String,
    #[serde(skip)]
    pub(crate) help: &'static str,
    /// Of which of several things.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<(&'static str, String)>,
    /// Its value.
    pub(crate) value: f64,
}

/// What was mended.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Healing {
    /// `NEXUS_HEAL`
    pub(crate) is_on: bool,
    /// How many things within the last hour.
    pub(crate) within_an_hour: usize,
}

impl Document {
    /// All that is known now.
    pub(crate) fn new(verdict: &Verdict, metrics: &[Metric], healing: Healing, now: Timestamp) -> Self {
        let row = |(id, state): (&String, &crate::verdict::State)| Row {
            id: id.clone(),
            level: state.level,
            since: state.since,
            sentence: state.sentence.clone(),
            advice: if state.level == Level::Ok { String::new() } else { state.advice.clone() },
        };
        let number = |metric: &Metric| Number {
            name: format!("nexus_{}", metric.name),
            help: metric.help,
            label: metric.label.clone(),
            value: metric.value,
        };
        let mut metrics: Vec<Number> = metrics.iter().map(number).collect();
        metrics.sort_by(|a, b| (&a.name, &a.label).cmp(&(&b.name, &b.label)));
        Self {
            version: VERSION,
            at: now,
            nexus_version: env!("CARGO_PKG_VERSION"),
            level: verdict.level(),
            sentence: verdict.sentence(),
            findings: verdict.states().iter().map(row).collect(),
            metrics,
            healing,
        }
    }
}
