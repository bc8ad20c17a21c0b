//! Runs a program with data on its standard input and a timeout.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::wait;
use nix::unistd::{Pid, Uid, User};

use crate::mask;

/// How long a program may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait for background processes that the program leaves. A mail program that cannot deliver by then keeps the
/// mail in its spool and retries.
const BACKGROUND: Duration = Duration::from_secs(10);

/// The most bytes to read of the program's standard error.
const LONGEST: u64 = 4096;

/// The user that a program runs as. When root runs nexus-alert by hand, this is the user that the unit runs as.
#[derive(Clone, Debug)]
pub(crate) struct RunAs(Option<User>);

impl RunAs {
    /// Returns the owner of `directory` if this process is root, or else the current user.
    ///
    /// # Errors
    /// I/O, when the user database cannot be read.
    pub(crate) fn owner_of(directory: &Path) -> Result<Self> {
        let doing = || format!("looking for the user who owns {}", directory.display());
        if !Uid::effective().is_root() {
            return Ok(Self(None));
        }
        let owner = std::fs::metadata(directory)
            .or_fail_io(doing)
            .map_err(|failure| failure.advise("Run nexus-setup again; it makes the directory"))?;
        User::from_uid(owner.uid().into()).map(Self).or_fail(Exit::Io, doing)
    }
}

/// Runs `path` with `input` on its standard input, and waits until it exits.
///
/// # Errors
/// Unavailable (69) when the program does not exist, times out, or does not exit with 0; with the last line of its standard
/// error, secrets masked.
pub(crate) fn run(path: &Path, arguments: &[String], input: &[u8], run_as: &RunAs) -> Result<()> {
    let doing = || format!("running {}", path.display());
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    // Its own process group, so that its children can be killed with it.
    command.process_group(0);
    if let Some(user) = &run_as.0 {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        command.env("HOME", &user.dir).env("USER", &user.name).env("LOGNAME", &user.name).current_dir("/");
    }
    let child = command.spawn().or_fail(Exit::Unavailable, doing)?;
    let group = i32::try_from(child.id()).map(Pid::from_raw).or_fail(Exit::Software, doing)?;
    let input = input.to_owned();
    let (done, ended) = channel();
    thread::spawn(move || {
        let outcome = feed(child, &input);
        // After the timeout nobody receives this.
        let _received = done.send(outcome);
        reap_background();
        let _received = done.send(Ok(()));
    });
    let outcome = match ended.recv_timeout(TIMEOUT) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            // It may have exited just now.
            let _killed = killpg(group, Signal::SIGKILL);
            Err(format!("it took longer than {} s and was killed", TIMEOUT.as_secs()))
        }
    };
    // A mail program may deliver in the background, as dma does, and systemd kills what still runs when the unit ends. A
    // process that stays for good is no failure.
    let _background = ended.recv_timeout(BACKGROUND);
    outcome.map_err(|why| Failure::new(Exit::Unavailable, doing()).because(why))
}

/// Makes this process the parent of background processes that its programs leave (prctl(2), `PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
/// Software (70).
pub(crate) fn become_subreaper() -> Result<()> {
    prctl::set_child_subreaper(true).or_fail(Exit::Software, || "becoming the parent of background processes")
}

/// Waits for all processes that a program has left.
fn reap_background() {
    if prctl::get_child_subreaper().is_ok_and(|is_one| is_one) {
        while matches!(wait(), Ok(_) | Err(Errno::EINTR)) {}
    }
}

/// Writes `input`, reads standard error, and waits until the program exits.
fn feed(mut child: Child, input: &[u8]) -> std::result::Result<(), String> {
    if let Some(mut stdin) = child.stdin.take() {
        // A program may exit without reading everything; its exit status decides.
        let _unread = stdin.write_all(input);
    }
    let mut text = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        let read = (&mut stderr).take(LONGEST).read_to_end(&mut text);
        let rest = std::io::copy(&mut stderr, &mut std::io::sink());
        read.and(rest.map(drop).map(|()| 0)).map_err(|error| error.to_string())?;
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("it exited with {code}"),
        (_, signal) => format!("it was killed by signal {}", signal.unwrap_or_default()),
    };
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    Err(last.map_or(how.clone(), |last| format!("{how} and said \"{}\"", mask::one_line(last))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &[u8]) -> Result<()> {
        run(Path::new("/bin/sh"), &["-c".to_owned(), script.to_owned()], input, &RunAs(None))
    }

    #[test]
    fn a_program_gets_its_input_and_its_error_is_masked() {
        shell("test \"$(cat)\" = hello", b"hello").unwrap();
        let failure =
            shell("cat >/dev/null; echo x >&2; echo password=hunter2 >&2; exit 3", b"hello").unwrap_err();
        assert_eq!(failure.exit(), Exit::Unavailable);
        assert_eq!(failure.to_string(), "running /bin/sh: it exited with 3 and said \"password=[masked]\"");
    }

    #[test]
    fn a_program_need_not_read_its_input() {
        shell("exit 0", &vec![b'x'; 1 << 20]).unwrap();
        assert!(run(Path::new("/nonexistent"), &[], b"", &RunAs(None)).is_err());
    }
}
