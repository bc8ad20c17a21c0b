//! nexus-restore-test: restores a set into a throwaway server, compares the result with the backup, and writes a proof. Parses
//! the command line, runs the job, reports.

mod args;
mod check;
mod job;
mod redis;
mod report;
mod resources;
mod scratch;
mod selection;

use std::process::ExitCode;

use nexus_cli::command_line;
use nexus_cli::failure::{Exit, Result};
use nexus_cli::journal::{self, message_id};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;

use crate::args::Args;

/// The application_name of this program's sessions.
const APPLICATION: &str = "nexus-restore-test";

fn main() -> ExitCode {
    let _journal = journal::init("nexus-restore-test");
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.exit() == Exit::Usage {
                log::error!("nexus-restore-test: {failure}");
            } else {
                log::error!(
                    MESSAGE_ID = message_id::TEST_FAILED,
                    NEXUS_JOB = "restore-test";
                    "nexus-restore-test: {failure}"
                );
            }
            failure.exit_code()
        }
    }
}

fn run() -> Result<()> {
    let args: Args = command_line::parse()?;
    let stop = Stop::on_signals()?;
    let progress = Progress::new(!args.json);
    let outcome = job::run(&args, &progress, &stop);
    progress.finish();
    report::write(&outcome?, args.json)
}
