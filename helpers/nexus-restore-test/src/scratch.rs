//! The throwaway PostgreSQL, which nexus-docker runs for as long as we hold it.

use nexus_core::docker::client::Held;
use nexus_core::docker::protocol::{Request, Scratch};
use nexus_core::failure::{Exit, OrFail, Result};
use nexus_core::postgres::server::{Server, ServerSettings};
use nexus_core::restoring::archive::client;
use nexus_core::set::manifest::Manifest;
use nexus_core::stop::Stop;

use crate::APPLICATION;
use crate::args::Args;
use crate::room;

/// Name of the database in it.
pub(crate) const DATABASE: &str = "restore_test";

/// A throwaway server that answers.
pub(crate) struct Throwaway {
    held: Held,
    /// What it runs.
    pub(crate) scratch: Scratch,
}

impl Throwaway {
    /// Starts one with room for the set.
    ///
    /// # Errors
    /// TryLater (75) without memory or while another one runs, CannotCreate (73) without disk, Unavailable (69) when
    /// it does not start.
    pub(crate) fn start(args: &Args, manifest: &Manifest, stop: &Stop) -> Result<Self> {
        let request = Request::ScratchUp { memory_mib: room::memory(args.memory)? };
        let (held, line) = client(&args.docker_socket, stop).hold(&request, &mut std::io::empty())?;
        let scratch = parse(&line)?;
        room::require_disk(manifest, scratch.free)?;
        Ok(Self { held, scratch })
    }

    /// Ends it, and waits until it is gone with all its data.
    ///
    /// # Errors
    /// Unavailable (69) when it could not be removed.
    pub(crate) fn end(self) -> Result<()> {
        self.held.end()
    }
}

/// How the throwaway server is reached, once it is there.
///
/// # Errors
/// Settings (78), Permission (77): the credential.
pub(crate) fn server(args: &Args) -> Result<Server> {
    let settings = ServerSettings {
        host: args.scratch_dir.display().to_string(),
        port: 5432,
        user: "postgres".to_owned(),
        database: DATABASE.to_owned(),
    };
    Ok(Server::from_settings(&settings)?.named(APPLICATION))
}

/// What nexus-docker says of a throwaway server.
///
/// # Errors
/// Software (70) when it is something else.
pub(crate) fn parse(line: &str) -> Result<Scratch> {
    serde_json::from_str(line)
        .or_fail(Exit::Software, || "reading what nexus-docker says of the throwaway server")
}
