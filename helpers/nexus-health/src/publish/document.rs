//! health.json: all results, for programs. docs/HEALTH.md describes it.

use jiff::Timestamp;
use serde::Serialize;

use crate::finding::Metric;
use crate::level::FindingLevel;
use crate::verdict::Verdict;

/// The version of the document. Additions keep it; removals raise it.
pub(crate) const VERSION: u32 = 1;

/// The document.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    version: u32,
    /// When the document was written.
    pub(crate) at: Timestamp,
    nexus_version: &'static str,
    /// The worst level.
    pub(crate) level: FindingLevel,
    /// The worst sentence, and how many more findings there are.
    pub(crate) sentence: String,
    /// All findings, by name.
    pub(crate) findings: Vec<Row>,
    /// All metrics, by name.
    pub(crate) metrics: Vec<Number>,
    /// Whether repairs are on, and how many there were.
    pub(crate) healing: Healing,
}

/// A finding.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) level: FindingLevel,
    /// Since when it has this level.
    pub(crate) since: Timestamp,
    pub(crate) sentence: String,
    /// What to do; empty when everything is well.
    pub(crate) advice: String,
}

/// A metric, under its name in the metrics file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Number {
    /// `nexus_…`
    pub(crate) name: String,
    #[serde(skip)]
    pub(crate) help: &'static str,
    /// The name and value of the label, if the metric has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<(&'static str, String)>,
    pub(crate) value: f64,
}

/// The state of healing.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Healing {
    /// The setting `NEXUS_HEAL`.
    pub(crate) is_on: bool,
    /// How many repairs there were in the last hour.
    pub(crate) within_an_hour: usize,
}

impl Document {
    /// Returns the document for the current state.
    pub(crate) fn new(verdict: &Verdict, metrics: &[Metric], healing: Healing, now: Timestamp) -> Self {
        let row = |(id, state): (&String, &crate::verdict::FindingState)| Row {
            id: id.clone(),
            level: state.level,
            since: state.since,
            sentence: state.sentence.clone(),
            advice: if state.level == FindingLevel::Ok { String::new() } else { state.advice.clone() },
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
