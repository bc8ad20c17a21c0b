//! Gets vectors of texts, and their version, from nexus-embed.

use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_embed_client::client::{Client, DEFAULT_SOCKET};
use nexus_embed_client::protocol::TextKind;
use nexus_postgres::blocking::runtime;
use tokio::runtime::Runtime;

use crate::data::DIMENSIONS;

/// A blocking client of nexus-embed.
pub(crate) struct Embedder {
    client: Client,
    runtime: Runtime,
    /// The version of the vectors in the last reply.
    pub(crate) version: Option<String>,
}

impl Embedder {
    /// Creates a client of the service at its default socket.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { client: Client::new(DEFAULT_SOCKET), runtime: runtime()?, version: None })
    }

    /// Returns the vectors of `texts`, at most 64, and their version.
    pub(crate) fn of_texts(&mut self, kind: TextKind, texts: Vec<String>) -> Result<(Vec<Vec<f32>>, String)> {
        let doing = || format!("asking nexus-embed at {DEFAULT_SOCKET} for vectors");
        let vectors =
            self.runtime.block_on(self.client.embed(kind, texts)).or_fail(Exit::Unavailable, doing)?;
        if vectors.dimensions != DIMENSIONS {
            return Err(Failure::new(Exit::Unavailable, doing())
                .because(format!("its vectors have {} numbers, not {DIMENSIONS}", vectors.dimensions)));
        }
        self.version = Some(vectors.version.clone());
        Ok((vectors.rows().map(<[f32]>::to_vec).collect(), vectors.version.clone()))
    }
}
