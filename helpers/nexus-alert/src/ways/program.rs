//! Running a program of this machine, with something on its standard input and an end to the patience.

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
const PATIENCE: Duration = Duration::from_secs(60);

/// How long what it leaves in the background is waited for. A mail program that cannot deliver at once keeps the mail in its
/// spool, and tries again by itself.
const REST: Duration = Duration::from_secs(10);

/// How much of what it says on standard error is looked at, in bytes.
const LONGEST: u64 = 4096;

/// As whom a program runs: root by hand gives it to the user that the unit would run it as.
#[derive(Clone, Debug)]
pub(crate) struct RunAs(Option<User>);

impl RunAs {
    /// # Errors
    /// I/O, when the users of this machine cannot be read.
    pub(crate) fn owner_of(directory: &Path) -> Result<Self> {
        let doing = || format!("looking for the user who owns {}", directory.display());
        if !Uid::effective().is_root() {
            return Ok(Self(None));
        }
        let owner = std::fs::metadata(directory)
            .or_fail_io(doing)
            .map_err(|failure| failure.advise("Run nexus-setup again, it makes the directory"))?;
        User::from_uid(owner.uid().into()).map(Self).or_fail(Exit::Io, doing)
    }
}

/// Runs `path` with `input` on its standard input and waits for it to end well.
///
/// # Errors
/// Unavailable (69): it is not there, took too long, or ended otherwise than with 0; with its last words, masked.
pub(crate) fn feed(path: &Path, arguments: &[String], input: &[u8], run_as: &RunAs) -> Result<()> {
    let doing = || format!("running {}", path.display());
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    // A group of its own, so that all it starts can be ended with it.
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
        let outcome = attend(child, &input);
        // Nobody waits any more when the patience is over.
        let _heard = done.send(outcome);
        wait_for_the_rest();
        let _heard = done.send(Ok(()));
    });
    let outcome = match ended.recv_timeout(PATIENCE) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            // It may just have ended by itself.
            let _ended = killpg(group, Signal::SIGKILL);
            Err(format!("it took longer than {} s and was ended", PATIENCE.as_secs()))
        }
    };
    // A mail program may go on in the background (dma delivers there): what is half done when the unit ends is ended with it.
    // What stays for good is none of that, and no failure.
    let _rest = ended.recv_timeout(REST);
    outcome.map_err(|why| Failure::new(Exit::Unavailable, doing()).because(why))
}

/// Makes this process the one that has to wait for what the programs it runs leave in the background (prctl(2),
/// `PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
/// Software (70).
pub(crate) fn wait_for_what_programs_leave() -> Result<()> {
    prctl::set_child_subreaper(true)
        .or_fail(Exit::Software, || "asking to be told of the ends of background processes")
}

/// Waits for all that is left of a program.
fn wait_for_the_rest() {
    if prctl::get_child_subreaper().is_ok_and(|is_one| is_one) {
        while matches!(wait(), Ok(_) | Err(Errno::EINTR)) {}
    }
}

/// Feeds the program, hears it out, and waits for its end.
fn attend(mut child: Child, input: &[u8]) -> std::result::Result<(), String> {
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not want to read it all is no failure: its exit status says what it thinks.
        let _unread = stdin.write_all(input);
    }
    let mut said = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        let heard = (&mut stderr).take(LONGEST).read_to_end(&mut said);
        let rest = std::io::copy(&mut stderr, &mut std::io::sink());
        heard.and(rest.map(drop).map(|()| 0)).map_err(|error| error.to_string())?;
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with {code}"),
        (_, signal) => format!("it was ended by signal {}", signal.unwrap_or_default()),
    };
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    Err(last.map_or(how.clone(), |last| format!("{how} and said \"{}\"", mask::one_line(last))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, input: &[u8]) -> Result<()> {
        feed(Path::new("/bin/sh"), &["-c".to_owned(), script.to_owned()], input, &RunAs(None))
    }

    #[test]
    fn a_program_gets_its_input_and_its_last_words_are_masked() {
        run("test \"$(cat)\" = hello", b"hello").unwrap();
        let failure =
            run("cat >/dev/null; echo x >&2; echo password=hunter2 >&2; exit 3", b"hello").unwrap_err();
        assert_eq!(failure.exit(), Exit::Unavailable);
        assert_eq!(failure.to_string(), "running /bin/sh: it ended with 3 and said \"password=[masked]\"");
    }

    #[test]
    fn one_that_does_not_read_may_still_end_well() {
        run("exit 0", &vec![b'x'; 1 << 20]).unwrap();
        assert!(feed(Path::new("/nonexistent"), &[], b"", &RunAs(None)).is_err());
    }
}
