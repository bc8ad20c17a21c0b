//! A backup of the living database before another takes its place: made by nexus-backup, as every night.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use nexus_core::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nix::sys::signal::Signal;
use serde::Deserialize;

use crate::apply::Restore;
use crate::child;

/// Of its answer, what is told on.
#[derive(Deserialize)]
struct Answer {
    set: String,
}

/// Runs nexus-backup; gives the name of the set.
///
/// # Errors
/// When it fails; it has said why on standard error.
pub(crate) fn back_up(restore: &Restore<'_>) -> Result<String> {
    let program = find()?;
    let doing = || format!("backing up the living database with {}", program.display());
    let server = &restore.server.settings;
    let mut child = Command::new(&program)
        .arg("--json")
        .env("NEXUS_PG_HOST", &server.host)
        .env("NEXUS_PG_PORT", server.port.to_string())
        .env("NEXUS_PG_USER", &server.user)
        .env("NEXUS_PG_DATABASE", &server.database)
        .env("NEXUS_BACKUP_DIR", &restore.args.common.backup_dir)
        .env("NEXUS_DOCKER_SOCKET", &restore.args.docker_socket)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .or_fail(Exit::Unavailable, doing)?;
    let stdout = child.stdout.take();
    let said = thread::scope(|scope| {
        let said = scope.spawn(|| stdout.map(std::io::read_to_string));
        // So that it takes away what it has begun.
        let status = child::wait(&mut child, Signal::SIGTERM, restore.stop)?;
        let said = said.join().ok().flatten().transpose().or_fail_io(doing)?.unwrap_or_default();
        if status.success() {
            return Ok(said);
        }
        Err(Failure::new(Exit::Unavailable, doing()).because(format!("it failed ({status}), see above")).advise(
            "Mend that and run this again; --no-safety-backup goes on without: the old database is kept in any case",
        ))
    })?;
    serde_json::from_str::<Answer>(&said).map(|answer| answer.set).or_fail(Exit::Software, doing)
}

/// nexus-backup beside this program, else on the PATH.
fn find() -> Result<PathBuf> {
    let ours = std::env::current_exe().or_fail_io(|| "looking where this program is")?;
    let beside = ours.parent().unwrap_or(Path::new("/")).join("nexus-backup");
    Ok(if beside.is_file() { beside } else { PathBuf::from("nexus-backup") })
}
