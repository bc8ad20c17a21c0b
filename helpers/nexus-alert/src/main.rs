//! nexus-alert: tells the owner which unit failed, with the journal's last lines, and what nexus-health has found: once a
//! problem, and when it is over.
//! Parses, calls the work, reports.

mod about;
mod alert;
mod args;
mod deliver;
mod facts;
mod mask;
mod problem;
mod report;
mod store;
mod tell;
mod tested;
mod unit;
mod watcher;
mod ways;

use std::process::ExitCode;

use jiff::Timestamp;
use nexus_cli::failure::Result;
use nexus_cli::{command_line, journal};

use crate::args::{Args, Task};
use crate::report::Report;
use crate::store::Store;
use crate::ways::Ways;

fn main() -> ExitCode {
    let _journal = journal::init("nexus-alert");
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::error!("nexus-alert: {failure}");
            failure.exit_code()
        }
    }
}

fn run() -> Result<()> {
    let args: Args = command_line::parse()?;
    let task = args.task()?;
    ways::wait_for_what_programs_leave()?;
    let (store, ways) = (Store::at(&args.dir)?, Ways::of(&args)?);
    let told = match task {
        Task::Test { by_queue: false } => return deliver::test(&store, &ways, args.ways())?.tell(args.json),
        Task::Test { by_queue: true } => tell::test(&store, &ways)?,
        Task::Tell { unit, is_over } => Report::of(tell::about(&store, &ways, &args, &unit, is_over)?),
        Task::Health => tell::health(&store, &ways, &args.problems)?,
        Task::Retry => tell::look_again(&store, &ways)?,
    };
    told.and(deliver::owed(&store, &ways, args.ways(), Timestamp::now())?).tell(args.json)
}
