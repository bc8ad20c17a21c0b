//! nexus-health: watches the servers, the backups and the machine, repairs what it safely can, and reports the rest.

mod args;
mod check;
mod context;
mod daemon;
mod finding;
mod heal;
mod level;
mod once;
mod publish;
mod report;
mod scheduler;
mod threshold;
mod thresholds;
mod verdict;

use std::process::ExitCode;

use nexus_cli::command_line;
use nexus_cli::failure::Result;

use crate::args::Args;
use crate::check::exposure::ports;
use crate::level::FindingLevel;

/// The name of our sessions in pg_stat_activity.
const APPLICATION: &str = "nexus-health";

fn main() -> ExitCode {
    command_line::main("nexus-health", run)
}

fn run() -> Result<ExitCode> {
    let args: Args = command_line::parse()?;
    if let Some(path) = &args.note_ports {
        return ports::note(path, &args.ports).map(|()| ExitCode::SUCCESS);
    }
    if args.is_one_shot() {
        return once::check(args).map(plugin_exit);
    }
    daemon::run(args).map(|()| ExitCode::SUCCESS)
}

/// Returns the exit code of monitoring plugins (<https://www.monitoring-plugins.org/doc/guidelines.html>, "Plugin Return
/// Codes").
fn plugin_exit(level: FindingLevel) -> ExitCode {
    ExitCode::from(match level {
        FindingLevel::Ok => 0,
        FindingLevel::Warning => 1,
        FindingLevel::Critical => 2,
        FindingLevel::Unknown => 3,
    })
}
