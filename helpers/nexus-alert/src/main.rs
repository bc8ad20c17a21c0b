//! nexus-alert: tells the owner which unit failed, with the journal's last lines, once a problem, and when it is over.
//! Parses, calls the work, reports.

mod alert;
mod args;
mod deliver;
mod facts;
mod mask;
mod problem;
mod report;
mod store;
mod tell;
mod unit;
mod ways;

use std::process::ExitCode;

use jiff::Timestamp;
use nexus_core::failure::Result;
use nexus_core::{cli, journal};

use crate::args::{Args, Task};
use crate::report::Report;
use crate::store::Store;
use crate::ways::Ways;

fn main() -> ExitCode {
    journal::init("nexus-alert");
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::error!("nexus-alert: {failure}");
            failure.exit_code()
        }
    }
}

fn run() -> Result<()> {
    let args: Args = cli::parse()?;
    let report = match args.task()? {
        Task::Test => deliver::test(&Ways::of(&args)?, args.ways())?,
        Task::Tell { unit, is_over } => {
            let (store, ways) = (Store::at(&args.dir)?, Ways::of(&args)?);
            let told = tell::about(&store, &ways, &args, &unit, is_over)?;
            Report { told, ..deliver::owed(&store, &ways, args.ways(), Timestamp::now())? }
        }
        Task::Retry => {
            let (store, ways) = (Store::at(&args.dir)?, Ways::of(&args)?);
            let told = tell::look_again(&store, &ways)?;
            Report { told, ..deliver::owed(&store, &ways, args.ways(), Timestamp::now())? }
        }
    };
    report.tell(args.json)
}
