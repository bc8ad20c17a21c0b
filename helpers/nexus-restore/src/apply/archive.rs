//! pg_dump's archive through pg_restore: run in the database's container by nexus-docker, so that versions match, or by a
//! command of the owner's for a server outside Compose.

use std::io::{self, Read};
use std::path::PathBuf;

use nexus_core::docker::client::Client;
use nexus_core::docker::protocol::{Request, Section};
use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::progress::Progress;
use nexus_core::set::{DATABASE, open};

use crate::apply::Restore;
use crate::pg_restore::PgRestore;

/// How pg_restore is run here.
///
/// # Errors
/// Unavailable (69) when there is no nexus-docker; Settings (78) when the command is none or too old.
pub(crate) fn check(restore: &Restore<'_>) -> Result<()> {
    if let Some(command) = &restore.args.pg_restore {
        let major = restore.manifest.postgres.server_version_num / 10_000;
        return PgRestore::parse(command)?.require_version(major);
    }
    if restore.args.docker_socket.exists() {
        return Ok(());
    }
    Err(Failure::new(Exit::Unavailable, format!("looking for {}", restore.args.docker_socket.display()))
        .because("nobody runs pg_restore there")
        .advise(
            "Start it with: systemctl start nexus-docker.socket. For a server outside Compose set NEXUS_PG_RESTORE",
        ))
}

/// Restores one section of the archive into the new database.
///
/// # Errors
/// Data (65) when the archive is damaged, else what pg_restore said.
pub(crate) fn restore(restore: &Restore<'_>, section: Section) -> Result<()> {
    restore.progress.doing(format!("restoring {}", section.as_str()));
    let path = restore.set.path.join(DATABASE);
    let mut archive =
        Plain { inner: open::open(&path, &restore.unlock.identities()?)?, path, progress: restore.progress };
    if let Some(command) = &restore.args.pg_restore {
        let tool = PgRestore::parse(command)?;
        return tool.run(&restore.server, &restore.temporary, section, &mut archive, restore.stop);
    }
    let request = Request::Restore { database: restore.temporary.clone(), section };
    client(restore).send(&request, &mut archive).map(|_| ())
}

/// The way to nexus-docker, which notices a stop.
pub(crate) fn client(restore: &Restore<'_>) -> Client {
    let stop = restore.stop.clone();
    Client::at(&restore.args.docker_socket).checking(move || stop.check())
}

/// A file of the set as it is read; damage travels through whatever reads it as a [`Failure`].
struct Plain<'a> {
    inner: Box<dyn Read + Send>,
    path: PathBuf,
    progress: &'a Progress,
}

impl Read for Plain<'_> {
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
