//! nexus-backup: one encrypted backup set, then rotation. Parses, calls the job, reports.

mod archive;
mod args;
mod catalog;
mod copy;
mod job;
mod ledger;
mod pipeline;
mod plan;
mod redis;
mod retry;
mod rotation;
mod setval;
mod snapshot;
mod space;
mod staging;
mod stock;
mod tool;
mod watch;
mod write;

use std::process::ExitCode;

use nexus_backup_set::manifest::LeftOut;
use nexus_cli::command_line;
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::journal::{self, message_id};
use nexus_cli::progress::{Progress, human_bytes};
use nexus_cli::stop::Stop;
use nexus_cli::text::{printable_json, printable_lines};

use crate::args::Args;
use crate::job::Summary;

fn main() -> ExitCode {
    let _journal = journal::init("nexus-backup");
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::error!(MESSAGE_ID = message_id::BACKUP_FAILED, NEXUS_JOB = "backup"; "nexus-backup: {failure}");
            failure.exit_code()
        }
    }
}

fn run() -> Result<()> {
    let args: Args = command_line::parse()?;
    if args.rotate_only {
        return rotate_only(&args);
    }
    if args.accept_smaller {
        let newest = job::accept_smaller(&args)?;
        let text = format!("{newest} is the reference now: older sets rotate away as usual\n");
        return print(args.json, &newest.to_string(), &text);
    }
    if args.dry_run {
        let plan = plan::plan(&args)?;
        print(args.json, &plan, &plan.to_text())?;
        return Ok(());
    }
    let stop = Stop::on_signals()?;
    let progress = Progress::new(!args.json);
    let done = job::run(&args, &progress, &stop);
    progress.finish();
    let done = done?;
    report(&done);
    if args.json { print(true, &done, "") } else { Ok(()) }
}

fn rotate_only(args: &Args) -> Result<()> {
    if args.dry_run {
        let plan = plan::rotation_plan(args)?;
        return print(args.json, &plan, &plan.iter().map(plan::PlannedSet::to_text).collect::<String>());
    }
    let removed = job::rotate_only(args)?;
    let lines: Vec<String> = removed.iter().map(|set| format!("removed {set}\n")).collect();
    print(args.json, &removed, &lines.concat())
}

fn report(done: &Summary) {
    let seconds = done.usec / 1_000_000;
    let tenths = done.usec / 100_000 % 10;
    log::info!(
        MESSAGE_ID = message_id::BACKUP_DONE,
        NEXUS_JOB = "backup",
        NEXUS_BACKUP = done.set.as_str(),
        NEXUS_ROWS = done.rows,
        NEXUS_BYTES = done.bytes,
        NEXUS_USEC = done.usec;
        "backup {} is complete: {} rows in {} tables{}, {}, {seconds}.{tenths} s",
        done.set,
        done.rows,
        done.tables,
        if done.redis { " and Redis" } else { "" },
        human_bytes(done.bytes)
    );
    if !done.bare_names.is_empty() {
        let needed: Vec<_> = done.bare_names.iter().map(ToString::to_string).collect();
        log::warn!(
            MESSAGE_ID = message_id::BACKUP_NEEDS_SEARCH_PATH, NEXUS_JOB = "backup", NEXUS_BACKUP = done.set.as_str();
            "restoring backup {} needs a search_path: {}", done.set, needed.join("; ")
        );
    }
    if let Some(left_out) = done.left_out.as_ref().and_then(LeftOut::sentence) {
        log::warn!(
            MESSAGE_ID = message_id::BACKUP_LEAVES_OUT, NEXUS_JOB = "backup", NEXUS_BACKUP = done.set.as_str();
            "in no backup of this database: {left_out}"
        );
    }
    if let Some(why) = &done.redis_missing {
        log::warn!(
            MESSAGE_ID = message_id::BACKUP_WITHOUT_REDIS, NEXUS_JOB = "backup", NEXUS_BACKUP = done.set.as_str();
            "Redis is not in backup {}: {why}", done.set
        );
    }
}

/// Prints the result: a JSON object for programs, or text for people.
fn print(json: bool, value: &impl serde::Serialize, text: &str) -> Result<()> {
    use std::io::Write;
    let doing = || "writing to standard output";
    let line = if json {
        printable_json(&serde_json::to_string(value).or_fail(Exit::Software, doing)?) + "\n"
    } else {
        printable_lines(text)
    };
    std::io::stdout().write_all(line.as_bytes()).map_err(|e| Failure::new(Exit::Io, doing()).because(e))
}
