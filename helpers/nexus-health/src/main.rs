//! nexus-health: watches the servers, the backups and the machine, mends what it safely can, and says the rest in one
//! sentence. Parses, calls the loop or one look, reports.

mod args;
mod check;
mod daemon;
mod finding;
mod heal;
mod look;
mod once;
mod rounds;
mod tell;
mod threshold;
mod thresholds;
mod verdict;

use std::process::ExitCode;

use nexus_cli::failure::Result;
use nexus_cli::{command_line, journal};

use crate::args::Args;
use crate::check::exposure::ports;
use crate::finding::Level;

/// What our sessions are called in pg_stat_activity.
const APPLICATION: &str = "nexus-health";

fn main() -> ExitCode {
    let _journal = journal::init("nexus-health");
    match run() {
        Ok(code) => code,
        Err(failure) => {
            log::error!("nexus-health: {failure}");
            failure.exit_code()
        }
    }
}

fn run() -> Result<ExitCode> {
    let args: Args = command_line::parse()?;
    if let Some(path) = &args.note_ports {
        return ports::note(path).map(|()| ExitCode::SUCCESS);
    }
    if args.is_one_look() {
        return once::look(args).map(as_plugins_exit);
    }
    daemon::run(args).map(|()| ExitCode::SUCCESS)
}

/// As monitoring plugins do (<https://www.monitoring-plugins.org/doc/guidelines.html>, "Plugin Return Codes").
fn as_plugins_exit(level: Level) -> ExitCode {
    ExitCode::from(match level {
        Level::Ok => 0,
        Level::Warning => 1,
        Level::Critical => 2,
        Level::Unknown => 3,
    })
}
