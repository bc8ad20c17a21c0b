//! Vectors of texts, by nexus-embed, and their version.

use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_embed_client::client::{Client, DEFAULT_SOCKET};
use nexus_embed_client::protocol::TextKind;
use tokio::runtime::Runtime;

use crate::data::DIMENSIONS;

/// nexus-embed, asked by code that waits for it.
pub(crate) struct Embedder {
    client: Client,
    runtime: Runtime,
    /// Of the vectors that it last made.
    pub(crate) version: Option<String>,
}

impl Embedder {
    /// At its usual socket.
    ///
    /// # Errors
    /// Software (70).
    pub(crate) fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .or_fail(Exit::Software, || "starting the runtime")?;
        Ok(Self { client: Client::new(DEFAULT_SOCKET), runtime, version: None })
    }

    /// The vectors of `texts`, which are 64 at most, and their version.
    ///
    /// # Errors
    /// Unavailable (69).
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
