//! nexus-bench: measures NEXUS, and prints a table or one JSON object.

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

use nexus_cli::command_line;
use nexus_cli::failure::Result;
use nexus_cli::stop::Stop;

use crate::args::{Args, Benchmark};

/// The name of our sessions in pg_stat_activity.
pub(crate) const APPLICATION: &str = "nexus-bench";

fn main() -> ExitCode {
    command_line::main("nexus-bench", run)
}

fn run() -> Result<()> {
    let args: Args = command_line::parse()?;
    let stop = Stop::on_signals()?;
    match args.benchmark {
        Benchmark::Api(args) => api::run(&args, &stop),
        Benchmark::Backup(args) => backup::run(&args, &stop),
        Benchmark::Restore(args) => restore::run(&args, &stop),
        Benchmark::Idle(args) => idle::run(&args, &stop),
        Benchmark::Boot(args) => boot::run(&args, &stop),
    }
}
