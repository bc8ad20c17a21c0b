//! Runs pg_restore as a command of the owner on this machine.

use std::io::{self, ErrorKind, Read, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::thread;

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Refusal, Result};
use nexus_cli::pump::pump;
use nexus_cli::stop::Stop;
use nexus_docker_client::protocol::Section;
use nexus_postgres::quote::conninfo_value;
use nix::sys::signal::Signal;
use tempfile::NamedTempFile;

use crate::archive::LONGEST_SCRIPT;
use crate::{Restoring, child};

/// The maximum bytes of standard error to keep.
const STDERR_LIMIT: usize = 64 << 10;

/// The command of pg_restore and its first arguments.
#[derive(Clone, Debug)]
pub(super) struct PgRestore {
    words: Vec<String>,
}

impl PgRestore {
    /// Splits the setting into words.
    ///
    /// # Errors
    /// Settings (78) when it is empty.
    pub(super) fn parse(command: &str) -> Result<Self> {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err(refused(command).because("it names no command").advise(ADVICE));
        }
        Ok(Self { words })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        command
    }

    /// Refuses a version that cannot read an archive of PostgreSQL `major`.
    ///
    /// # Errors
    /// Settings (78) when it is too old or does not run.
    pub(super) fn require_version(&self, major: u32) -> Result<()> {
        let refused = || refused(&self.words.join(" "));
        let output = self
            .command()
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|cause| refused().because(cause).advise(ADVICE))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match version_in(&said) {
            Some(version) if version >= major => Ok(()),
            Some(version) => Err(refused()
                .because(format!("it is version {version}, but the set comes from PostgreSQL {major}"))
                .advise(ADVICE)),
            None => Err(refused().because(format!("its --version printed {:?}", said.trim())).advise(ADVICE)),
        }
    }

    /// Restores one section of `archive` into the new database.
    ///
    /// # Errors
    /// Those of `archive`; CannotCreate (73) with pg_restore's message.
    pub(super) fn run(
        &self,
        restoring: &Restoring<'_>,
        section: Section,
        archive: &mut (dyn Read + Send),
    ) -> Result<()> {
        let server = &restoring.server;
        let doing = || format!("restoring {} with {}", section.as_str(), self.words[0]);
        let mut passfile = NamedTempFile::new().or_fail_io(|| "creating a password file")?;
        passfile.write_all(&server.passfile_line()).or_fail_io(|| "writing a password file")?;
        let settings = &server.settings;
        let mut command = self.command();
        command
            .arg("--exit-on-error")
            .arg("--no-password")
            .arg(format!("--section={}", section.as_str()))
            .args(restoring.without_tablespaces.then_some("--no-tablespaces"))
            .arg(format!("--dbname=dbname={}", conninfo_value(&restoring.database)))
            // Its messages are parsed.
            .env("LC_MESSAGES", "C")
            .env("PGHOST", &settings.host)
            .env("PGPORT", settings.port.to_string())
            .env("PGUSER", &settings.user)
            .env("PGPASSFILE", passfile.path());
        run_command(command, archive, restoring.stop, doing).map(|_| ())
    }

    /// Returns the post-data of `archive` as SQL, without a database.
    ///
    /// # Errors
    /// Those of [`PgRestore::run`].
    pub(super) fn script(&self, archive: &mut (dyn Read + Send), stop: &Stop) -> Result<Vec<u8>> {
        let mut command = self.command();
        command.args(["--section=post-data", "--file=-"]);
        run_command(command, archive, stop, || format!("reading post-data with {}", self.words[0]))
    }
}

/// Runs `command` with `archive` as its input and returns its standard output.
fn run_command(
    mut command: Command,
    archive: &mut (dyn Read + Send),
    stop: &Stop,
    doing: impl Fn() -> String + Copy + Send,
) -> Result<Vec<u8>> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .or_fail(Exit::Unavailable, doing)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let fed = scope.spawn(move || stdin.map_or(Ok(()), |stdin| feed(archive, stdin)));
        let output =
            scope.spawn(move || stdout.map_or_else(Vec::new, |stdout| read_first(stdout, LONGEST_SCRIPT)));
        let said =
            scope.spawn(move || stderr.map_or_else(Vec::new, |stderr| read_first(stderr, STDERR_LIMIT)));
        let status = child::wait(&mut child, Signal::SIGKILL, stop);
        let fed = fed.join().map_err(|_| Failure::new(Exit::Software, doing()))?;
        let output = output.join().unwrap_or_default();
        let said = said.join().unwrap_or_default();
        let status = status?;
        fed.or_fail_io(doing)?;
        if status.success() {
            return Ok(output);
        }
        let message = reason(&String::from_utf8_lossy(&said));
        let failure = Failure::new(Exit::CannotCreate, doing()).because(message.clone());
        Err(match status.code() {
            Some(1) => failure.refused_with(Refusal { message, ..Refusal::default() }),
            _ => failure,
        })
    })
}

const ADVICE: &str = "Write for instance /usr/lib/postgresql/18/bin/pg_restore, or remove the setting";

fn refused(command: &str) -> Failure {
    Failure::new(Exit::Settings, format!("setting NEXUS_PG_RESTORE={command}"))
}

/// Writes the archive to its input. It may need only a part and close the pipe: its exit status
/// tells whether it succeeded.
fn feed(archive: &mut (dyn Read + Send), mut stdin: ChildStdin) -> io::Result<()> {
    match pump(archive, 256 << 10, |piece| stdin.write_all(piece)) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Returns the first bytes, at most `most`. Discards the rest, so that the command never blocks.
fn read_first(mut from: impl Read, most: usize) -> Vec<u8> {
    let mut said = Vec::new();
    let _read = from.by_ref().take(most as u64).read_to_end(&mut said);
    let _rest = io::copy(&mut from, &mut io::sink());
    said
}

/// Returns the line with the cause. The lines after it may quote rows.
fn reason(said: &str) -> String {
    let line = said.lines().find(|line| line.contains("error:")).or_else(|| said.lines().last());
    line.map_or("it said nothing", |line| line.trim_start_matches("pg_restore: error: ")).to_owned()
}

/// Returns 15 for `pg_restore (PostgreSQL) 15.18 (Debian …)`.
fn version_in(said: &str) -> Option<u32> {
    let version = said.split_once("(PostgreSQL) ")?.1;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_parsed_from_the_output() {
        assert_eq!(version_in("pg_restore (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(version_in("pg_restore (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(version_in("hello"), None);
    }

    #[test]
    fn only_the_line_with_the_cause_is_returned() {
        let said =
            "pg_restore: while PROCESSING TOC\npg_restore: error: could not execute query: no\nDETAIL: row";
        assert_eq!(reason(said), "could not execute query: no");
        assert_eq!(reason(""), "it said nothing");
    }
}
