//! nexus-bench: measures. Parses, calls what measures, prints a table or one JSON object.

mod api;
mod args;

use std::process::ExitCode;

use nexus_core::failure::Result;
use nexus_core::{cli, journal};

use crate::args::{Args, What};

fn main() -> ExitCode {
    journal::init("nexus-bench");
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::error!("nexus-bench: {failure}");
            failure.exit_code()
        }
    }
}

fn run() -> Result<()> {
    let args: Args = cli::parse()?;
    match args.what {
        What::Api(args) => api::run(&args),
    }
}
