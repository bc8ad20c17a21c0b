//! Output: the journal for every change, files for programs, a table for people.

pub(crate) mod document;
pub(crate) mod file;
pub(crate) mod journal;
pub(crate) mod metrics;
pub(crate) mod table;

use std::collections::BTreeSet;

use nexus_cli::failure::{Exit, Failure, OrFail, Result};

use crate::args::Args;

use document::Document;

/// Writes the files. A file that cannot be written is reported once and does not stop the others.
#[derive(Default)]
pub(crate) struct Files {
    unwritten: BTreeSet<&'static str>,
}

impl Files {
    /// Writes all files. Returns the errors of those that could be written before.
    pub(crate) fn write(
        &mut self,
        document: &Document,
        problems: Vec<nexus_problems::Problem>,
        args: &Args,
    ) -> Vec<Failure> {
        let json = serde_json::to_vec_pretty(document).or_fail(Exit::Software, || "writing JSON");
        let outcomes = [
            ("health.json", json.and_then(|json| file::replace(&args.run_dir.join("health.json"), &json))),
            ("problems.json", nexus_problems::write(&args.run_dir.join("problems.json"), problems).map(drop)),
            ("nexus.prom", file::replace(&args.metrics, metrics::text(document).as_bytes())),
        ];
        outcomes.into_iter().filter_map(|(name, outcome)| self.note(name, outcome)).collect()
    }

    /// Returns how many files cannot be written.
    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten.len()
    }

    fn note(&mut self, name: &'static str, outcome: Result<()>) -> Option<Failure> {
        match outcome {
            Ok(()) => {
                self.unwritten.remove(name);
                None
            }
            Err(failure) => self.unwritten.insert(name).then_some(failure),
        }
    }
}
