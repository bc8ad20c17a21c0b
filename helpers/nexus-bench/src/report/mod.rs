//! What was measured, by what, where: for people a table, for programs JSON, and what has changed since an earlier one.

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

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// One number, as often as it was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// With its unit: `p95 ms`.
    pub(crate) name: String,
    /// The median of `runs`.
    pub(crate) value: f64,
    pub(crate) runs: Vec<f64>,
    pub(crate) better: Better,
}

/// What one thing came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measure {
    pub(crate) name: String,
    pub(crate) figures: Vec<Figure>,
}

/// All that was measured in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Which subcommand.
    pub(crate) bench: String,
    pub(crate) at: Timestamp,
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<String, String>,
    /// What it was told: episodes, seed, rounds.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) measures: Vec<Measure>,
    /// What a reader has to know besides.
    pub(crate) notes: Vec<String>,
    /// What it is to be compared with.
    #[serde(skip)]
    earlier: Option<Box<Report>>,
}

impl Figure {
    /// A figure of one or more runs; `name` ends with its unit.
    pub(crate) fn of(name: &str, runs: Vec<f64>, better: Better) -> Self {
        Self { name: name.to_owned(), value: median(&runs), runs, better }
    }

    /// One of which less is better.
    pub(crate) fn lower(name: &str, runs: Vec<f64>) -> Self {
        Self::of(name, runs, Better::Lower)
    }

    /// One of which more is better.
    pub(crate) fn higher(name: &str, runs: Vec<f64>) -> Self {
        Self::of(name, runs, Better::Higher)
    }
}

impl Report {
    /// An empty one. The earlier one is read first: hours of measuring are not lost for a wrong name.
    ///
    /// # Errors
    /// Usage (64) when the earlier one is none of the same kind; I/O.
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

    /// What `measure` puts into it, told, with progress on a terminal meanwhile.
    ///
    /// # Errors
    /// As [`Self::new`], `measure` and [`Self::tell`].
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
        report.tell(how)
    }

    /// Notes a setting.
    pub(crate) fn set(&mut self, name: &str, value: impl Display) {
        self.settings.insert(name.to_owned(), value.to_string());
    }

    /// Adds what one thing came to.
    pub(crate) fn measured(&mut self, name: impl Into<String>, figures: Vec<Figure>) {
        self.measures.push(Measure { name: name.into(), figures });
    }

    /// Notes what a reader has to know besides.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Prints it, and what has changed since an earlier one.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn tell(mut self, how: &Output) -> Result<()> {
        self.machine.load_after = machine::load();
        if how.json {
            output::json(&self)?;
        } else {
            output::print(&self.text())?;
        }
        let Some(earlier) = &self.earlier else { return Ok(()) };
        let changes = against::compare(earlier, &self);
        // Of JSON one object is expected on standard output.
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

/// The median; of an even number the lower of the two in the middle; 0 of none.
fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_a_number_that_was_measured() {
        let is = |runs: &[f64], expected: f64| (median(runs) - expected).abs() < 1e-12;
        assert!(is(&[3.0, 1.0, 2.0], 2.0) && is(&[4.0, 1.0], 1.0) && is(&[], 0.0));
    }
}
