//! nexus-bench: measures. Parses, calls what measures, prints a table or one JSON object.

mod api;
mod args;
mod backup;
mod boot;
mod competitors;
mod data;
mod fixture;
mod idle;
mod process;
mod report;
mod restore;
mod work;

use std::process::ExitCode;

use nexus_cli::failure::Result;
use nexus_cli::stop::Stop;
use nexus_cli::{command_line, journal};

use crate::args::{Args, What};

/// What our sessions are called in pg_stat_activity.
pub(crate) const APPLICATION: &str = "nexus-bench";

fn main() -> ExitCode {
    let _journal = journal::init("nexus-bench");
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::error!("nexus-bench: {failure}");
            failure.exit_code()
        }
    }
}

fn run() -> Result<()> {
    let args: Args = command_line::parse()?;
    let stop = Stop::on_signals()?;
    match args.what {
        What::Api(args) => api::run(&args, &stop),
        What::Backup(args) => backup::run(&args, &stop),
        What::Restore(args) => restore::run(&args, &stop),
        What::Idle(args) => idle::run(&args, &stop),
        What::Boot(args) => boot::run(&args, &stop),
    }
}
