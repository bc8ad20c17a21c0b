//! A one-shot run of all checks, for a person or a monitoring plugin. It repairs nothing and writes no file.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Instant;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::output;

use crate::args::{Args, OnOff};
use crate::check;
use crate::context::Context;
use crate::level::FindingLevel;
use crate::publish::document::{Document, Healing};
use crate::publish::table;
use crate::scheduler::{Completed, Scheduler};
use crate::verdict::Verdict;

/// Runs all checks, prints the result, and returns the worst level.
///
/// # Errors
/// When standard output cannot be written, or a thread cannot be started.
pub(crate) fn check(args: Args) -> Result<FindingLevel> {
    let as_json = args.json;
    let healing = Healing { is_on: args.heal == OnOff::On, within_an_hour: 0 };
    let mut scheduler = Scheduler::new(Arc::new(Context::new(args)), check::all());
    let (to, completed) = channel::<Completed>();
    scheduler.start_due(&to)?;
    let mut findings = Vec::new();
    while scheduler.is_waiting() {
        match completed.recv_timeout(scheduler.next().saturating_duration_since(Instant::now())) {
            Ok(completed) => {
                findings.extend(scheduler.finish(completed).findings);
            }
            Err(RecvTimeoutError::Timeout) => findings.extend(scheduler.overdue()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(
                    Failure::new(Exit::Software, "running the checks").because("a check sent no report")
                );
            }
        }
    }
    // There is no second run to wait for.
    let findings = findings.into_iter().map(|finding| finding.patient(1)).collect();
    let (mut verdict, now) = (Verdict::default(), Timestamp::now());
    verdict.observe(findings, now);
    let document = Document::new(&verdict, &scheduler.metrics(), healing, now);
    let printed = if as_json { output::json(&document) } else { output::print(&table::text(&document)) };
    printed.map(|()| document.level)
}
