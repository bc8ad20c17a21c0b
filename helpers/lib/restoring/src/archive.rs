//! Restores pg_dump's archive with pg_restore. nexus-docker runs it in the database's container, so
//! that versions match. For a server outside Compose, it is a command of the owner's.

use std::io::{self, Read};
use std::path::PathBuf;

use nexus_backup_set::{DATABASE, open};
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::progress::Progress;
use nexus_docker_client::client::Client;
use nexus_docker_client::protocol::{Request, Section};

use crate::pg_restore::PgRestore;
use crate::{Restoring, Tool};

/// The longest script of post-data, in bytes: about 100,000 indexes.
pub(super) const LONGEST_SCRIPT: usize = 32 << 20;

/// The end of every script of pg_restore.
const SCRIPT_END: &str = "-- PostgreSQL database dump complete";

/// Checks that pg_restore can run, before anything is created.
///
/// # Errors
/// Unavailable (69) when nexus-docker is missing; Settings (78) when the command is invalid or too
/// old.
pub fn check(restoring: &Restoring<'_>) -> Result<()> {
    match &restoring.tool {
        Tool::Command(command) => {
            let major = restoring.manifest.postgres.server_version_num / 10_000;
            PgRestore::parse(command)?.require_version(major)
        }
        Tool::Docker { socket, .. } if socket.exists() => Ok(()),
        Tool::Docker { socket, .. } => {
            Err(Failure::new(Exit::Unavailable, format!("looking for {}", socket.display()))
                .because("nexus-docker does not listen there")
                .advise(
                    "Start it with: systemctl start nexus-docker.socket. \
                     For a server outside Compose set NEXUS_PG_RESTORE",
                ))
        }
    }
}

/// Restores one section of the archive into the new database.
///
/// # Errors
/// Data (65) when the archive is damaged; errors of pg_restore.
pub fn restore(restoring: &Restoring<'_>, section: Section) -> Result<()> {
    restoring.progress.doing(format!("restoring {}", section.as_str()));
    let mut archive = DecryptedFile::archive(restoring)?;
    match &restoring.tool {
        Tool::Command(command) => {
            let tool = PgRestore::parse(command)?;
            tool.run(restoring, section, &mut archive)
        }
        Tool::Docker { socket, server } => {
            let request = Request::Restore {
                database: restoring.database.clone(),
                section,
                server: *server,
                without_tablespaces: restoring.without_tablespaces,
            };
            Client::at(socket).stopping(restoring.stop).send(&request, &mut archive).map(|_| ())
        }
    }
}

/// Returns the SQL of the archive's post-data, as pg_restore would run it.
///
/// # Errors
/// Data (65) when the archive is damaged or the script is truncated; errors of pg_restore.
pub fn post_data_script(restoring: &Restoring<'_>) -> Result<String> {
    let doing = || "reading post-data";
    restoring.progress.doing(doing());
    let mut archive = DecryptedFile::archive(restoring)?;
    let script = match &restoring.tool {
        Tool::Command(command) => PgRestore::parse(command)?.script(&mut archive, restoring.stop)?,
        Tool::Docker { socket, server } => {
            let request = Request::PostDataScript { server: *server };
            Client::at(socket).stopping(restoring.stop).exchange(&request, &mut archive, LONGEST_SCRIPT)?
        }
    };
    let script = String::from_utf8(script).or_fail(Exit::Data, doing)?;
    match script.rfind(SCRIPT_END) {
        Some(end) => Ok(script[..end].to_owned()),
        None => Err(Failure::new(Exit::Data, doing())
            .because("the script is truncated")
            .advise("Run it without --serve-early; then pg_restore restores all of it")),
    }
}

/// A file of the set during reading. Damage is an I/O error that carries a [`Failure`].
struct DecryptedFile<'a> {
    inner: Box<dyn Read + Send>,
    path: PathBuf,
    progress: &'a Progress,
}

impl<'a> DecryptedFile<'a> {
    fn archive(restoring: &Restoring<'a>) -> Result<Self> {
        let path = restoring.set.path.join(DATABASE);
        let inner = open::open(&path, &restoring.unlock.identities()?)?;
        Ok(Self { inner, path, progress: restoring.progress })
    }
}

impl Read for DecryptedFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(read) => {
                self.progress.advance(0);
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(io::Error::other(open::damaged(&self.path, error))),
        }
    }
}
