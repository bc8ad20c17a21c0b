//! The safety backup of the live database before a swap. nexus-backup makes it, as every night.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, ScopedJoinHandle};

use nexus_cli::command_line;
use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_restoring::child;
use nix::sys::signal::Signal;
use serde::Deserialize;

use crate::apply::Restore;

/// The part of nexus-backup's result that is reported.
#[derive(Deserialize)]
struct BackupReport {
    set: String,
}

/// The part of a dry run's result that is needed.
#[derive(Deserialize)]
struct DryRun {
    fits: bool,
}

/// The remedy in every failure here.
const ADVICE: &str = "Use --no-safety-backup to restore without one: the old database is kept in any case";

/// Checks that a backup can be made, because hours of restoring follow before it is.
///
/// # Errors
/// CannotCreate (73) if it does not fit, else nexus-backup's failure.
pub(crate) fn dry_run(restore: &Restore<'_>) -> Result<()> {
    let doing = || "checking that the live database can be backed up before it is replaced";
    let plan: DryRun = serde_json::from_str(&run(restore, &["--dry-run", "--json"], doing())?)
        .or_fail(Exit::Software, doing)?;
    if plan.fits {
        return Ok(());
    }
    let directory = restore.args.common.backup_dir.display();
    Err(Failure::new(Exit::CannotCreate, doing())
        .because(format!("the set would not fit in {directory}"))
        .advise(format!("Free some space there. {ADVICE}")))
}

/// Makes the backup; returns the name of the set.
pub(crate) fn back_up(restore: &Restore<'_>) -> Result<String> {
    let doing = || "backing up the live database";
    serde_json::from_str::<BackupReport>(&run(restore, &["--json"], doing())?)
        .map(|answer| answer.set)
        .or_fail(Exit::Software, doing)
}

/// Runs nexus-backup; returns its standard output.
fn run(restore: &Restore<'_>, arguments: &[&str], doing: &str) -> Result<String> {
    let program = find_program()?;
    let server = &restore.making.server.settings;
    let mut command = Command::new(&program);
    // nexus-backup treats a directory on the command line differently from one in the settings.
    if command_line::was_typed("--backup-dir") {
        command.arg("--backup-dir").arg(restore.args.common.backup_dir.as_os_str());
    }
    let mut child = command
        .args(arguments)
        .env("NEXUS_PG_HOST", &server.host)
        .env("NEXUS_PG_PORT", server.port.to_string())
        .env("NEXUS_PG_USER", &server.user)
        .env("NEXUS_PG_DATABASE", &server.database)
        .env("NEXUS_BACKUP_DIR", restore.args.common.backup_dir.as_os_str())
        .env("NEXUS_DOCKER_SOCKET", restore.args.docker_socket.as_os_str())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .or_fail(Exit::Unavailable, || format!("{doing}: starting {}", program.display()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (status, answer, stderr) = thread::scope(|scope| {
        let answer = scope.spawn(|| stdout.map(std::io::read_to_string));
        let stderr = scope.spawn(|| stderr.map(std::io::read_to_string));
        // SIGTERM, so that it removes the partial set.
        let status = child::wait(&mut child, Signal::SIGTERM, restore.making.stop);
        (status, text_of(answer), text_of(stderr))
    });
    let status = status?;
    if status.success() {
        return Ok(answer);
    }
    let cause = stderr
        .lines()
        .last()
        .unwrap_or("it printed no error message")
        .trim_start_matches("nexus-backup: ")
        .to_owned();
    Err(Failure::new(exit_of(status.code()), doing).because(cause).advise(ADVICE))
}

fn text_of(reader: ScopedJoinHandle<'_, Option<std::io::Result<String>>>) -> String {
    reader.join().ok().flatten().and_then(std::io::Result::ok).unwrap_or_default()
}

/// Translates nexus-backup's exit code.
fn exit_of(code: Option<i32>) -> Exit {
    let ours = [Exit::CannotCreate, Exit::Io, Exit::TryLater, Exit::Permission, Exit::Settings];
    ours.into_iter().find(|exit| code == Some(*exit as i32)).unwrap_or(Exit::Unavailable)
}

/// Finds nexus-backup in this program's directory, else on the PATH.
fn find_program() -> Result<PathBuf> {
    let ours = std::env::current_exe().or_fail_io(|| "finding this program's directory")?;
    let beside = ours.parent().unwrap_or(Path::new("/")).join("nexus-backup");
    Ok(if beside.is_file() { beside } else { PathBuf::from("nexus-backup") })
}
