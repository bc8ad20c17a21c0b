//! nexus-api: serves the memory over HTTP, on the sockets that systemd passes to it.

use std::process::ExitCode;

use nexus_api::args::Args;
use nexus_api::run;
use nexus_cli::failure::Result;
use nexus_cli::{command_line, journal};

fn main() -> ExitCode {
    let _journal = journal::init("nexus-api");
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::error!("nexus-api: {failure}");
            failure.exit_code()
        }
    }
}

fn serve() -> Result<()> {
    let args: Args = command_line::parse()?;
    run::until_signal(args)
}
