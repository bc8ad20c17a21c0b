//! A backup of the living database before another takes its place: made by nexus-backup, as every night.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nexus_core::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_core::stop::Stop;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;

use crate::apply::Restore;

/// How often it is looked at whether it has ended.
const GLANCE: Duration = Duration::from_millis(100);

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
        let status = wait(&mut child, restore.stop)?;
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

/// Waits for its end; a stop is passed on, so that it takes away what it has begun.
fn wait(child: &mut Child, stop: &Stop) -> Result<std::process::ExitStatus> {
    let doing = || "waiting for nexus-backup";
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait().or_fail_io(doing)? {
            stop.check()?;
            return Ok(status);
        }
        if stop.is_set() && !told {
            told = true;
            let id = i32::try_from(child.id()).or_fail(Exit::Software, doing)?;
            // It may have ended this moment.
            let _sent = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        thread::sleep(GLANCE);
    }
}
