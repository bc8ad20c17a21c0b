//! The throwaway PostgreSQL, which nexus-docker runs as long as this program holds its lease, and its password.

use nexus_backup_set::manifest::Manifest;
use nexus_cli::failure::{Exit, OrFail, Result};
use nexus_cli::stop::Stop;
use nexus_docker_client::client::{Client, Lease};
use nexus_docker_client::protocol::{Request, Scratch};
use nexus_postgres::server::{Server, ServerSettings};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::APPLICATION;
use crate::args::Args;
use crate::resources;

/// The database's name in the throwaway server.
pub(crate) const DATABASE: &str = "restore_test";

/// A running throwaway server.
pub(crate) struct Throwaway {
    lease: Lease,
    /// nexus-docker's description of the server.
    pub(crate) scratch: Scratch,
}

impl Throwaway {
    /// Starts a server with space for the set; its superuser has `password`.
    ///
    /// # Errors
    /// TryLater (75) if memory is short or another throwaway server runs; CannotCreate (73) if disk space is short; Unavailable
    /// (69) if it does not start.
    pub(crate) fn start(
        args: &Args,
        manifest: &Manifest,
        password: &SecretString,
        stop: &Stop,
    ) -> Result<Self> {
        let request = Request::ScratchUp { memory_mib: resources::memory(args.memory)? };
        // Its own stop flag: when nexus-docker kills the server, the reason must arrive even though all else has failed by then.
        let client = Client::at(&args.docker_socket).stopping(&stop.of_one_try());
        let (lease, line) = client.lease(&request, &mut password_line(password).as_slice())?;
        let scratch = parse(&line)?;
        resources::require_disk(manifest, scratch.free)?;
        Ok(Self { lease, scratch })
    }

    /// Ends the server, and waits until it is removed with all its data.
    ///
    /// # Errors
    /// CannotCreate (73) if nexus-docker killed it because it took too much disk space; Unavailable (69) if it exited by itself
    /// or could not be removed.
    pub(crate) fn end(self) -> Result<()> {
        self.lease.end()
    }
}

/// Returns how to connect to the throwaway server. It has its own password: a set may come from another person, and code in it
/// must not learn the live server's.
pub(crate) fn server(args: &Args, password: SecretString) -> Server {
    let settings = ServerSettings {
        host: args.scratch_dir.display().to_string(),
        port: 5432,
        user: "postgres".to_owned(),
        database: DATABASE.to_owned(),
    };
    Server::with_password(&settings, password).named(APPLICATION)
}

/// Returns the password in the form that nexus-docker expects: the first line of the input.
pub(crate) fn password_line(password: &SecretString) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(format!("{}\n", password.expose_secret()).into_bytes())
}

/// Parses nexus-docker's description of a throwaway server.
pub(crate) fn parse(line: &str) -> Result<Scratch> {
    serde_json::from_str(line)
        .or_fail(Exit::Software, || "reading nexus-docker's description of the throwaway server")
}
