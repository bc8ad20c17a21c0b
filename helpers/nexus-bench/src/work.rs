//! A temporary directory for backups and restores, with their keys.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_cli::stop::Stop;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::args::Rounds;
use crate::competitors::{PEERS, Peer};
use crate::fixture::{self, Fixture};
use crate::process::{self, Ran};
use crate::report::Report;

/// The database that restores create.
pub(crate) const TARGET: &str = "nexus_bench_restored";

/// The Docker volume of the shipped stack.
const VOLUME: &str = "/var/lib/docker/volumes/nexus_postgres_data/_data";

/// The directory and its keys.
pub(crate) struct Work<'a> {
    directory: TempDir,
    recipient: String,
    fixture: &'a Fixture,
    stop: &'a Stop,
}

impl<'a> Work<'a> {
    /// Creates it below `rounds.directory`.
    pub(crate) fn new(rounds: &Rounds, fixture: &'a Fixture, stop: &'a Stop) -> Result<Self> {
        let doing = || format!("making a directory in {}", rounds.directory.display());
        let directory = tempfile::Builder::new()
            .prefix("nexus-bench-")
            .tempdir_in(&rounds.directory)
            .or_fail_io(doing)?;
        let identity = age::x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let work = Self { directory, recipient, fixture, stop };
        work.write("identity", identity.to_string().expose_secret().as_bytes())?;
        work.write("recipients", work.recipient.as_bytes())?;
        work.write("passfile", &fixture.server.passfile_line())?;
        work.write("secret", age::x25519::Identity::generate().to_string().expose_secret().as_bytes())?;
        Ok(work)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.path(name);
        let doing = || format!("writing {}", path.display());
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).or_fail_io(doing)?;
        file.write_all(content).or_fail_io(doing)
    }

    /// Returns the path of `name` in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Creates an empty directory in it, and removes an earlier one of that name.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        let doing = || format!("making {}", path.display());
        if path.exists() {
            fs::remove_dir_all(&path).or_fail_io(doing)?;
        }
        nexus_fs::files::create_directory(&path).or_fail_io(doing)?;
        Ok(path)
    }

    /// Returns the command of a NEXUS program, with the benchmark's database and this directory's
    /// keys.
    pub(crate) fn ours(&self, program: &str) -> Command {
        let settings = &self.fixture.server.settings;
        let mut command = Command::new(process::ours(program));
        command
            .env("NEXUS_PG_HOST", &settings.host)
            .env("NEXUS_PG_PORT", settings.port.to_string())
            .env("NEXUS_PG_USER", &settings.user)
            .env("NEXUS_PG_DATABASE", fixture::NAME)
            .env("NEXUS_RECIPIENTS", self.path("recipients"))
            .env("NEXUS_PURGE_LEDGER", self.path("ledger.jsonl"));
        command
    }

    /// Returns the command of nexus-backup into directory `into`, with the priority of its unit
    /// (`Nice=19`). Its sessions in the server use the same priority, so that neither side waits
    /// for the other.
    pub(crate) fn backup(&self, into: &Path) -> Command {
        let once = self.ours("nexus-backup");
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(once.get_program());
        command.envs(once.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.arg("--backup-dir").arg(into).args(["--redis=no", "--json"]);
        command
    }

    /// Runs a script of a competitor, with `out` as its directory.
    ///
    /// # Errors
    /// Same as [`process::measured`].
    pub(crate) fn run(&self, peer: &Peer, script: &str, out: &Path) -> Result<Ran> {
        let settings = &self.fixture.server.settings;
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut command = Peer::command(script);
        command
            .env("PGHOST", &settings.host)
            .env("PGPORT", settings.port.to_string())
            .env("PGUSER", &settings.user)
            .env("PGPASSFILE", self.path("passfile"))
            .env("PGDATABASE", fixture::NAME)
            .env("TARGET", TARGET)
            .env("OUT", out)
            .env("RECIPIENT", &self.recipient)
            .env("IDENTITY", self.path("identity"))
            .env("SECRET", self.path("secret"))
            .env("JOBS", jobs.to_string())
            .env("VOLUME", VOLUME);
        process::measured(&mut command, peer.name, self.stop, |_| ())
    }

    /// Returns the selected competitors that work here. Notes in the report why others do not.
    pub(crate) fn peers(&self, rounds: &Rounds, report: &mut Report) -> Result<Vec<&'static Peer>> {
        let mut usable = Vec::new();
        let wanted = |peer: &&Peer| rounds.only.as_ref().is_none_or(|words| peer.name.contains(words));
        for peer in PEERS.iter().filter(|_| rounds.peers).filter(wanted) {
            if let Some(missing) = peer.missing() {
                report.note(format!(
                    "{}: not measured, there is no {missing} (Debian: {})",
                    peer.name, peer.packages
                ));
                continue;
            }
            let out = self.fresh("try")?;
            match self.run(peer, peer.prepare, &out).and_then(|_| self.run(peer, peer.backup, &out)) {
                Ok(_) if size_mib(&out) < least_mib(self.fixture) => {
                    report.note(format!(
                        "{}: not measured, because it reported success but stored almost nothing",
                        peer.name
                    ));
                }
                Ok(_) => {
                    if let (Some(program), Some(version)) = (peer.programs.first(), peer.version()) {
                        report.versions.insert((*program).to_owned(), version);
                    }
                    usable.push(peer);
                }
                Err(stopped) if stopped.exit() == Exit::TryLater => return Err(stopped),
                Err(failure) => report.note(format!("{}: not measured: {failure}", peer.name)),
            }
        }
        if rounds.peers && usable.is_empty() && rounds.only.is_some() {
            return Err(Failure::new(
                Exit::Usage,
                format!("argument --only {}", rounds.only.as_deref().unwrap_or_default()),
            )
            .because("no installed program has this in its name"));
        }
        Ok(usable)
    }
}

/// Returns the least size of a backup of the rows: one byte for each number of a vector, because
/// the numbers are nearly random.
#[allow(clippy::cast_precision_loss)]
fn least_mib(fixture: &Fixture) -> f64 {
    (fixture.rows * 384) as f64 / f64::from(1 << 20)
}

/// Returns the size of all files below `path`, in MiB.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn size_mib(path: &Path) -> f64 {
    fn bytes(path: &Path) -> u64 {
        let entries = fs::read_dir(path).into_iter().flatten().filter_map(std::result::Result::ok);
        entries
            .map(|entry| match entry.metadata() {
                Ok(found) if found.is_dir() => bytes(&entry.path()),
                Ok(found) => found.len(),
                Err(_) => 0,
            })
            .sum()
    }
    bytes(path) as f64 / f64::from(1 << 20)
}
