//! The throwaway PostgreSQL, which nexus-docker runs while this is alive, and the password of throwaway servers.

use nexus_backup_set::manifest::Manifest;
use nexus_cli::failure::{Exit, OrFail, Result};
use nexus_cli::stop::Stop;
use nexus_docker_client::client::Lease;
use nexus_docker_client::protocol::{Request, Scratch};
use nexus_postgres::server::{Server, ServerSettings};
use nexus_restoring::archive::client;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::APPLICATION;
use crate::args::Args;
use crate::resources;

/// Name of the database in it.
pub(crate) const DATABASE: &str = "restore_test";

/// A throwaway server that answers.
pub(crate) struct Throwaway {
    lease: Lease,
    /// What it runs.
    pub(crate) scratch: Scratch,
}

impl Throwaway {
    /// Starts one with space for the set; its superuser has `password`.
    ///
    /// # Errors
    /// TryLater (75) without memory or while another one runs, CannotCreate (73) without disk, Unavailable (69) when
    /// it does not start.
    pub(crate) fn start(
        args: &Args,
        manifest: &Manifest,
        password: &SecretString,
        stop: &Stop,
    ) -> Result<Self> {
        let request = Request::ScratchUp { memory_mib: resources::memory(args.memory)? };
        // Its own flag for failures: the reason for its end must arrive even after everything else has failed because
        // of it.
        let client = client(&args.docker_socket, &stop.of_one_try());
        let (lease, line) = client.lease(&request, &mut password_line(password).as_slice())?;
        let scratch = parse(&line)?;
        resources::require_disk(manifest, scratch.free)?;
        Ok(Self { lease, scratch })
    }

    /// Ends it, and waits until it is gone with all its data.
    ///
    /// # Errors
    /// CannotCreate (73) when it was ended before because it took too much of the disk, Unavailable (69) when it had
    /// ended by itself or could not be removed.
    pub(crate) fn end(self) -> Result<()> {
        self.lease.end()
    }
}

/// How to reach the throwaway server, once it runs. It has its own password: a set may come from another person, and
/// programs in it must not learn the living server's.
pub(crate) fn server(args: &Args, password: SecretString) -> Server {
    let settings = ServerSettings {
        host: args.scratch_dir.display().to_string(),
        port: 5432,
        user: "postgres".to_owned(),
        database: DATABASE.to_owned(),
    };
    Server::with_password(&settings, password).named(APPLICATION)
}

/// The password as nexus-docker takes it: the first line of the input.
pub(crate) fn password_line(password: &SecretString) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(format!("{}\n", password.expose_secret()).into_bytes())
}

/// What nexus-docker says of a throwaway server.
///
/// # Errors
/// Software (70) when it is something else.
pub(crate) fn parse(line: &str) -> Result<Scratch> {
    serde_json::from_str(line)
        .or_fail(Exit::Software, || "reading what nexus-docker says of the throwaway server")
}
