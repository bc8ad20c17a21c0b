//! A backup of the living database before another takes its place: made by nexus-backup, as every night.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, ScopedJoinHandle};

use nexus_cli::command_line;
use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_restoring::child;
use nix::sys::signal::Signal;
use serde::Deserialize;

use crate::apply::Restore;

/// Of its answer, what is told on.
#[derive(Deserialize)]
struct BackupReport {
    set: String,
}

/// Of the answer of a dry run, what matters.
#[derive(Deserialize)]
struct Plan {
    fits: bool,
}

/// What is said where it fails.
const ADVICE: &str =
    "With --no-safety-backup it is restored without one: the old database is kept beside in any case";

/// Whether a backup could be made: better known before hours of restoring than after.
///
/// # Errors
/// CannotCreate (73) when it does not fit, else as nexus-backup says.
pub(crate) fn rehearse(restore: &Restore<'_>) -> Result<()> {
    let doing = || "looking whether the living database can be backed up before it is replaced";
    let plan: Plan = serde_json::from_str(&run(restore, &["--dry-run", "--json"], doing())?)
        .or_fail(Exit::Software, doing)?;
    if plan.fits {
        return Ok(());
    }
    let directory = restore.args.common.backup_dir.display();
    Err(Failure::new(Exit::CannotCreate, doing())
        .because(format!("the set would not fit in {directory}"))
        .advise(format!("Free some space there. {ADVICE}")))
}

/// Makes the backup; gives the name of the set.
///
/// # Errors
/// As nexus-backup says.
pub(crate) fn back_up(restore: &Restore<'_>) -> Result<String> {
    let doing = || "backing up the living database";
    serde_json::from_str::<BackupReport>(&run(restore, &["--json"], doing())?)
        .map(|answer| answer.set)
        .or_fail(Exit::Software, doing)
}

/// Runs nexus-backup; gives its standard output.
fn run(restore: &Restore<'_>, arguments: &[&str], doing: &str) -> Result<String> {
    let program = find()?;
    let server = &restore.making.server.settings;
    let mut command = Command::new(&program);
    // A directory on the command line is not that of the settings.
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
    let (status, answer, said) = thread::scope(|scope| {
        let answer = scope.spawn(|| stdout.map(std::io::read_to_string));
        let said = scope.spawn(|| stderr.map(std::io::read_to_string));
        // So that it takes away what it has begun.
        let status = child::wait(&mut child, Signal::SIGTERM, restore.making.stop);
        (status, text_of(answer), text_of(said))
    });
    let status = status?;
    if status.success() {
        return Ok(answer);
    }
    let cause =
        said.lines().last().unwrap_or("it said nothing").trim_start_matches("nexus-backup: ").to_owned();
    Err(Failure::new(exit_of(status.code()), doing).because(cause).advise(ADVICE))
}

fn text_of(reader: ScopedJoinHandle<'_, Option<std::io::Result<String>>>) -> String {
    reader.join().ok().flatten().and_then(std::io::Result::ok).unwrap_or_default()
}

/// Its exit code as ours.
fn exit_of(code: Option<i32>) -> Exit {
    let ours = [Exit::CannotCreate, Exit::Io, Exit::TryLater, Exit::Permission, Exit::Settings];
    ours.into_iter().find(|exit| code == Some(*exit as i32)).unwrap_or(Exit::Unavailable)
}

/// nexus-backup beside this program, else on the PATH.
fn find() -> Result<PathBuf> {
    let ours = std::env::current_exe().or_fail_io(|| "looking where this program is")?;
    let beside = ours.parent().unwrap_or(Path::new("/")).join("nexus-backup");
    Ok(if beside.is_file() { beside } else { PathBuf::from("nexus-backup") })
}
