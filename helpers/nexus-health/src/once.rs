//! One look at everything, for a person or a monitoring plugin. Nothing is mended and no file is written.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Instant;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::output;

use crate::args::{Args, OnOff};
use crate::check;
use crate::finding::Level;
use crate::look::Ctx;
use crate::rounds::{Report, Rounds};
use crate::tell::document::{Document, Healing};
use crate::tell::table;
use crate::verdict::Verdict;

/// Looks, prints, and says how it is.
///
/// # Errors
/// When standard output takes no more, or no thread can be made.
pub(crate) fn look(args: Args) -> Result<Level> {
    let as_json = args.json;
    let healing = Healing { is_on: args.heal == OnOff::On, within_an_hour: 0 };
    let mut rounds = Rounds::new(Arc::new(Ctx::new(args)), check::all());
    let (to, reports) = channel::<Report>();
    rounds.send_off(&to)?;
    let mut findings = Vec::new();
    while rounds.is_waiting() {
        match reports.recv_timeout(rounds.next().saturating_duration_since(Instant::now())) {
            Ok(report) => {
                findings.extend(rounds.take(report).findings);
            }
            Err(RecvTimeoutError::Timeout) => findings.extend(rounds.overdue()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::new(Exit::Software, "looking").because("a check ended without a word"));
            }
        }
    }
    // There is no second look to wait for.
    let findings = findings.into_iter().map(|finding| finding.patient(1)).collect();
    let (mut verdict, now) = (Verdict::default(), Timestamp::now());
    verdict.observe(findings, now);
    let document = Document::new(&verdict, &rounds.metrics(), healing, now);
    let printed = if as_json { output::json(&document) } else { output::print(&table::text(&document)) };
    printed.map(|()| document.level)
}
