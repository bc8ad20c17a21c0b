//! nexus-purge: forgets episodes by type and age, or those that a person names, and keeps the ledger.

mod answering;
mod args;
mod cleaning;
mod decisions;
mod expunge;
mod job;
mod ledger_view;
mod preflight;
mod recall;
mod redis;
mod reindexing;
mod report;
mod rules;
mod scrubbing;
mod selection;
mod survey;

use std::process::ExitCode;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::journal::{self, message_id};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_cli::{command_line, output};

use crate::args::Args;

/// The job's name in its sessions, in the ledger and in its locks.
const APPLICATION: &str = "nexus-purge";

fn main() -> ExitCode {
    let _journal = journal::init(APPLICATION);
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::error!(MESSAGE_ID = message_id::PURGE_FAILED, NEXUS_JOB = "purge"; "nexus-purge: {failure}");
            failure.exit_code()
        }
    }
}

fn run() -> Result<()> {
    let args: Args = command_line::parse()?;
    if args.answer {
        return answering::answer(&args);
    }
    if args.ledger {
        let shown = ledger_view::show(&args)?;
        return if args.json { output::json(&shown) } else { output::print(&ledger_view::to_text(&shown)) };
    }
    if args.expunge {
        let expunged = expunge::expunge(&args)?;
        return if args.json {
            output::json(&expunged)
        } else {
            output::print(&expunged.to_text(args.dry_run))
        };
    }
    let stop = Stop::on_signals()?;
    let progress = Progress::new(!args.json);
    let outcome =
        if args.dry_run { dry_run(&args, &progress, &stop) } else { purge(&args, &progress, &stop) };
    progress.finish();
    outcome.map_err(|failure| explain_stop(failure, &stop))
}

fn dry_run(args: &Args, progress: &Progress, stop: &Stop) -> Result<()> {
    let survey = job::dry_run(args, progress, stop)?;
    progress.finish();
    if args.json { output::json(&survey) } else { output::print(&survey.to_text()) }
}

fn purge(args: &Args, progress: &Progress, stop: &Stop) -> Result<()> {
    let purged = job::run(args, progress, stop)?;
    progress.finish();
    purged.log();
    if args.json { output::json(&purged) } else { Ok(()) }
}

/// Replaces the failure by a plain one if a signal has stopped the run.
fn explain_stop(failure: Failure, stop: &Stop) -> Failure {
    if stop.is_by_signal() {
        Failure::new(Exit::TryLater, "purging: stopped by a signal")
            .advise("Deleted rows stay deleted; the next run finishes the decisions")
    } else {
        failure
    }
}
