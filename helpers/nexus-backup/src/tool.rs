//! Runs PostgreSQL's own tools. nexus-docker runs them in the database's container, so that the versions match. For a server
//! outside Compose the owner configures a command.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_cli::stop::Stop;
use nexus_docker_client::client::{Client, CommandOutput};
use nexus_docker_client::protocol::{Request, TOOL_OPTIONS};
use nexus_postgres::server::Server;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use tempfile::NamedTempFile;

/// The time between two checks for a stop while a read waits, in milliseconds.
const POLL_MILLISECONDS: u8 = 250;

/// How much of a line of a tool's standard error is kept, in bytes.
const LONGEST_LINE: u64 = 8 << 10;

/// How to run a tool.
pub(crate) enum Tool {
    /// nexus-docker runs it.
    InContainer(Client),
    /// This command, followed by the tool's arguments.
    Command(Vec<String>),
}

impl Tool {
    /// Chooses the command in `setting`, else nexus-docker.
    ///
    /// # Errors
    /// Settings (78) if the command is blank.
    pub(crate) fn choose(setting: Option<&str>, docker: &Client) -> Result<Self> {
        let Some(command) = setting else { return Ok(Self::InContainer(docker.clone())) };
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err(Failure::new(
                Exit::Settings,
                format!("setting NEXUS_PG_DUMP/NEXUS_PG_DUMPALL={command:?}"),
            )
            .because("it names no command")
            .advise("Remove it, or write for instance /usr/lib/postgresql/18/bin/pg_dump"));
        }
        Ok(Self::Command(words))
    }

    /// Starts the tool: nexus-docker with `request`, or the command with `arguments`, which mean the same.
    pub(crate) fn start(
        &self,
        request: &Request,
        arguments: &[String],
        server: &Server,
        stop: &Stop,
    ) -> Result<Output> {
        match self {
            Self::InContainer(client) => Ok(Output::FromContainer(client.ask(request)?)),
            Self::Command(words) => LocalRun::start(words, arguments, server, stop).map(Output::Local),
        }
    }
}

/// A tool's standard output. It ends without an error only if the tool succeeded.
pub(crate) enum Output {
    FromContainer(CommandOutput),
    Local(LocalRun),
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::FromContainer(output) => output.read(buffer),
            Self::Local(run) => run.read(buffer),
        }
    }
}

/// A command running on this machine.
pub(crate) struct LocalRun {
    program: String,
    child: Child,
    stdout: ChildStdout,
    /// Reads its standard error continuously: a full pipe would block the tool.
    error_line: Option<JoinHandle<String>>,
    stop: Stop,
    /// The password file, which exists while the tool runs (libpq, "The Password File").
    _passfile: NamedTempFile,
}

impl LocalRun {
    fn start(words: &[String], arguments: &[String], server: &Server, stop: &Stop) -> Result<Self> {
        let settings = &server.settings;
        let doing = || format!("starting {}", words[0]);
        let mut passfile = NamedTempFile::new().or_fail_io(|| "making a password file")?;
        passfile.write_all(&server.passfile_line()).or_fail_io(|| "writing a password file")?;
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .args(arguments)
            .env("PGHOST", &settings.host)
            .env("PGPORT", settings.port.to_string())
            .env("PGUSER", &settings.user)
            .env("PGPASSFILE", passfile.path())
            .env("PGOPTIONS", TOOL_OPTIONS)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .or_fail(Exit::Unavailable, doing)?;
        let stdout = child.stdout.take().ok_or_else(|| Failure::new(Exit::Software, doing()))?;
        let error_line = child.stderr.take().map(|stderr| thread::spawn(move || last_error_line(stderr)));
        Ok(Self {
            program: words[0].clone(),
            child,
            stdout,
            error_line,
            stop: stop.clone(),
            _passfile: passfile,
        })
    }

    /// Waits until there is output, or its end, or the job is stopped.
    fn await_output(&self) -> io::Result<()> {
        loop {
            if let Err(stopped) = self.stop.check() {
                return Err(io::Error::other(stopped));
            }
            match poll(&mut [PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)], POLL_MILLISECONDS) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Waits for the tool's exit. If the tool failed, returns its last error message.
    fn wait_for_exit(&mut self) -> io::Result<usize> {
        let status = self.child.wait()?;
        let error_line =
            self.error_line.take().and_then(|error_line| error_line.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(0);
        }
        let last = if error_line.is_empty() { "it printed no error message".to_owned() } else { error_line };
        Err(io::Error::other(
            Failure::new(Exit::Unavailable, format!("running {} ({status})", self.program)).because(last),
        ))
    }
}

impl Read for LocalRun {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.await_output()?;
        match self.stdout.read(buffer)? {
            0 if !buffer.is_empty() => self.wait_for_exit(),
            read => Ok(read),
        }
    }
}

/// Returns the line of `stderr` that names the cause: the last one with `error: `, because PostgreSQL's tools print the
/// statement after it, else the last line.
fn last_error_line(stderr: ChildStderr) -> String {
    let mut stderr = BufReader::new(stderr);
    let (mut last, mut error) = (String::new(), None);
    loop {
        let mut line = Vec::new();
        match stderr.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return error.unwrap_or(last),
            Ok(_) => last = String::from_utf8_lossy(&line).into_owned(),
        }
        if last.contains("error: ") {
            error = Some(last.clone());
        }
    }
}

impl Drop for LocalRun {
    fn drop(&mut self) {
        // This fails if the tool has exited. If it has not, nothing will read its output.
        if self.child.kill().is_ok() {
            let _reaped = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn started(script: &str, stop: &Stop) -> LocalRun {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let error_line = child.stderr.take().map(|stderr| thread::spawn(move || last_error_line(stderr)));
        let passfile = NamedTempFile::new().unwrap();
        LocalRun {
            program: "sh".to_owned(),
            child,
            stdout,
            error_line,
            stop: stop.clone(),
            _passfile: passfile,
        }
    }

    #[test]
    fn a_tool_that_fills_the_pipe_of_its_errors_does_not_block() {
        let mut run =
            started("head -c 300000 /dev/zero >&2; echo; echo out; echo last >&2; exit 3", &Stop::default());
        let mut out = String::new();
        let error = run.read_to_string(&mut out).unwrap_err();
        assert_eq!(out, "\nout\n");
        assert!(error.to_string().ends_with("last"), "{error}");
    }

    #[test]
    fn a_stop_does_not_wait_for_a_tool_that_hangs() {
        let stop = Stop::default();
        let mut run = started("exec sleep 60", &stop);
        let began = Instant::now();
        stop.because_another_failed();
        assert!(run.read(&mut [0; 10]).is_err() && began.elapsed().as_secs() < 30);
    }
}
