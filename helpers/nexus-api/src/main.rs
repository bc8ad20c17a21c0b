//! nexus-api: serves the memory over HTTP, on the sockets that systemd passes to it.

use std::process::ExitCode;

use nexus_api::args::Args;
use nexus_api::run;
use nexus_cli::command_line;
use nexus_cli::failure::Result;

fn main() -> ExitCode {
    command_line::main("nexus-api", serve)
}

fn serve() -> Result<()> {
    let args: Args = command_line::parse()?;
    run::until_signal(args)
}
