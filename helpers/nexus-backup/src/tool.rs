//! PostgreSQL's own tools: run in the database's container by nexus-docker, so that versions always match, or by a command
//! of the owner's for a server outside Compose.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use nexus_core::docker::client::{Answer, Client};
use nexus_core::docker::protocol::Request;
use nexus_core::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_core::postgres::server::Server;
use tempfile::NamedTempFile;

/// How a tool is run.
pub(crate) enum Tool {
    /// By nexus-docker.
    InContainer(Client),
    /// By this command, to which the tool's arguments are added.
    Command(Vec<String>),
}

impl Tool {
    /// `setting` when the owner named a command, else nexus-docker.
    ///
    /// # Errors
    /// Settings (78) when the command is only spaces.
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

    /// Starts it; `request` says what is asked of nexus-docker, `arguments` the same for a command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(&self, request: &Request, arguments: &[String], server: &Server) -> Result<Output> {
        match self {
            Self::InContainer(client) => Ok(Output::Answer(client.ask(request)?)),
            Self::Command(words) => LocalRun::start(words, arguments, server).map(Output::Local),
        }
    }
}

/// A tool's standard output; the end of the stream is reached only when the tool has succeeded.
pub(crate) enum Output {
    Answer(Answer),
    Local(LocalRun),
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Answer(answer) => answer.read(buffer),
            Self::Local(run) => run.read(buffer),
        }
    }
}

/// A command that runs on this machine.
pub(crate) struct LocalRun {
    program: String,
    child: Child,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    /// The password, for as long as the tool runs (libpq, "The Password File").
    _passfile: NamedTempFile,
}

impl LocalRun {
    fn start(words: &[String], arguments: &[String], server: &Server) -> Result<Self> {
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
            .env("PGOPTIONS", "-c client_connection_check_interval=1s")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .or_fail(Exit::Unavailable, doing)?;
        let stdout = child.stdout.take().ok_or_else(|| Failure::new(Exit::Software, doing()))?;
        let stderr = child.stderr.take();
        Ok(Self { program: words[0].clone(), child, stdout, stderr, _passfile: passfile })
    }

    /// The tool's end: success, or what it said last.
    fn ended(&mut self) -> io::Result<usize> {
        let mut said = String::new();
        if let Some(stderr) = self.stderr.take() {
            stderr.take(8 << 10).read_to_string(&mut said)?;
        }
        let status = self.child.wait()?;
        if status.success() {
            return Ok(0);
        }
        let last = said.lines().last().unwrap_or("it said nothing");
        Err(io::Error::other(
            Failure::new(Exit::Unavailable, format!("running {} ({status})", self.program))
                .because(last.to_owned()),
        ))
    }
}

impl Read for LocalRun {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stdout.read(buffer)? {
            0 if !buffer.is_empty() => self.ended(),
            read => Ok(read),
        }
    }
}

impl Drop for LocalRun {
    fn drop(&mut self) {
        // Already gone when it ended by itself; when not, nobody wants its output any more.
        if self.child.kill().is_ok() {
            let _reaped = self.child.wait();
        }
    }
}
