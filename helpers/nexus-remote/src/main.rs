//! nexus-remote: checks, opens and closes access from other machines. Parses the command line, runs the command, reports.

mod addresses;
mod args;
mod certificate;
mod check;
mod domain;
mod network;
mod note;
mod socket;
mod tailscale;
mod token;

use std::process::ExitCode;

use nexus_cli::command_line;
use nexus_cli::failure::Result;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    command_line::main("nexus-remote", run)
}

fn run() -> Result<()> {
    let args: Args = command_line::parse()?;
    match &args.command {
        Command::Check(settings) => {
            log::info!("{}", check::all(settings)?);
            Ok(())
        }
        Command::Open(settings) => socket::open(&check::all(settings)?),
        Command::Close => socket::close(),
        Command::Note { settings, file } => note::write(settings, file),
    }
}
