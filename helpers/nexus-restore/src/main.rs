//! nexus-restore: lists, checks and restores backup sets. Parses the command line, runs the command, reports.

mod apply;
mod args;
mod early;
mod finish;
mod handover;
mod list;
mod remove;
mod rollback;
mod show;
mod undo_ledger;
mod verify;

use std::process::ExitCode;

use nexus_cli::command_line;
use nexus_cli::failure::{Exit, Result};
use nexus_cli::journal::{self, message_id};
use nexus_cli::stop::Stop;

use crate::args::{Cli, Command};

/// The application_name of this program's sessions.
pub(crate) const APPLICATION: &str = "nexus-restore";

fn main() -> ExitCode {
    let _journal = journal::init("nexus-restore");
    let parsed = command_line::parse::<Cli>();
    let restores = matches!(&parsed, Ok(Cli { command: Command::Apply(_) }));
    match parsed.and_then(|cli| run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if restores && failure.exit() != Exit::Usage => {
            log::error!(MESSAGE_ID = message_id::RESTORE_FAILED, NEXUS_JOB = "restore"; "nexus-restore: {failure}");
            failure.exit_code()
        }
        Err(failure) => {
            log::error!("nexus-restore: {failure}");
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<()> {
    let stop = Stop::on_signals()?;
    match command {
        Command::List(args) => list::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Verify(args) => verify::run(&args, &stop),
        Command::Apply(args) => apply::run(&args, &stop),
        Command::Finish(args) => finish::run(&args, &stop),
        Command::Undo(args) => rollback::undo(&args, &stop),
        Command::DropKept(args) => rollback::drop_kept(&args, &stop),
    }
}
