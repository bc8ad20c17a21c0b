//! Reports: a table for people, JSON for programs, and the changes since an earlier report.

mod against;
mod machine;
mod table;

use std::collections::BTreeMap;
use std::fmt::Display;

use jiff::Timestamp;
use nexus_cli::failure::Result;
use nexus_cli::output;
use nexus_cli::progress::Progress;
use nexus_cli::text::moment;
use serde::{Deserialize, Serialize};

use crate::args::Output;
use crate::report::machine::Machine;

/// Whether a lower or a higher figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// One number, measured in one or more runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// The name with its unit: `p95 ms`.
    pub(crate) name: String,
    /// The median of `runs`.
    pub(crate) value: f64,
    pub(crate) runs: Vec<f64>,
    pub(crate) better: Better,
}

/// The figures of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measure {
    pub(crate) name: String,
    pub(crate) figures: Vec<Figure>,
}

/// All measurements of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The subcommand.
    pub(crate) bench: String,
    pub(crate) at: Timestamp,
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<String, String>,
    /// The settings: episodes, seed, rounds.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) measures: Vec<Measure>,
    /// Notes for the reader.
    pub(crate) notes: Vec<String>,
    /// The report to compare with.
    #[serde(skip)]
    earlier: Option<Box<Report>>,
}

impl Figure {
    /// Creates a figure of one or more runs. `name` ends with its unit.
    pub(crate) fn of(name: &str, runs: Vec<f64>, better: Better) -> Self {
        Self { name: name.to_owned(), value: median(&runs), runs, better }
    }

    /// Creates a figure for which lower is better.
    pub(crate) fn lower(name: &str, runs: Vec<f64>) -> Self {
        Self::of(name, runs, Better::Lower)
    }

    /// Creates a figure for which higher is better.
    pub(crate) fn higher(name: &str, runs: Vec<f64>) -> Self {
        Self::of(name, runs, Better::Higher)
    }
}

impl Report {
    /// Creates an empty report. Reads the earlier one first, so that a wrong path fails before
    /// hours of measuring.
    ///
    /// # Errors
    /// Usage (64) if the earlier report is not of the same kind; I/O.
    pub(crate) fn new(bench: &str, how: &Output) -> Result<Self> {
        let earlier = how.against.as_ref().map(|file| against::read(file, bench)).transpose()?;
        Ok(Self {
            bench: bench.to_owned(),
            at: Timestamp::now(),
            machine: Machine::here(),
            versions: [("nexus".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
            settings: BTreeMap::new(),
            measures: Vec::new(),
            notes: Vec::new(),
            earlier: earlier.map(Box::new),
        })
    }

    /// Runs `measure`, which fills the report, and prints it. Shows progress on a terminal.
    ///
    /// # Errors
    /// Same as [`Self::new`], `measure` and [`Self::print`].
    pub(crate) fn of(
        bench: &str,
        how: &Output,
        measure: impl FnOnce(&mut Self, &Progress) -> Result<()>,
    ) -> Result<()> {
        let mut report = Self::new(bench, how)?;
        let progress = Progress::new(!how.json);
        let outcome = measure(&mut report, &progress);
        progress.finish();
        outcome?;
        report.print(how)
    }

    /// Adds a setting.
    pub(crate) fn set(&mut self, name: &str, value: impl Display) {
        self.settings.insert(name.to_owned(), value.to_string());
    }

    /// Adds the figures of one subject.
    pub(crate) fn measured(&mut self, name: impl Into<String>, figures: Vec<Figure>) {
        self.measures.push(Measure { name: name.into(), figures });
    }

    /// Adds a note for the reader.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Prints the report, and the changes since the earlier one.
    pub(crate) fn print(mut self, how: &Output) -> Result<()> {
        self.machine.load_after = machine::load();
        if how.json {
            output::json(&self)?;
        } else {
            output::print(&self.text())?;
        }
        let Some(earlier) = &self.earlier else { return Ok(()) };
        let changes = against::compare(earlier, &self);
        // Standard output must have only the JSON object.
        if how.json {
            eprint!("{changes}");
            return Ok(());
        }
        output::print(&changes)
    }

    fn text(&self) -> String {
        let pairs = |of: &BTreeMap<String, String>| {
            of.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
        };
        let mut text = format!(
            "nexus-bench {} at {}\nmachine:  {}\nversions: {}\nsettings: {}\n",
            self.bench,
            moment(self.at),
            self.machine,
            pairs(&self.versions),
            pairs(&self.settings)
        );
        text.push_str(&table::of(&self.measures));
        for note in &self.notes {
            text.push_str(&format!("\nNote: {note}\n"));
        }
        text
    }
}

/// Returns the median; the lower of two middle numbers; 0 if there are none.
fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_a_measured_number() {
        let is = |runs: &[f64], expected: f64| (median(runs) - expected).abs() < 1e-12;
        assert!(is(&[3.0, 1.0, 2.0], 2.0) && is(&[4.0, 1.0], 1.0) && is(&[], 0.0));
    }
}
