//! What all requests share.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use nexus_cli::failure::{OrFailIo, Result};
use tokio::sync::Semaphore;

use crate::args::Args;
use crate::cache::recent::Recent;
use crate::cache::redis::Redis;
use crate::cache::working::Working;
use crate::http::gate::Gate;
use crate::memory::pool::Database;
use crate::metrics::Metrics;
use crate::vectors::Vectors;

/// Exports and imports at once: each holds a connection of its own, for as long as its caller likes.
const LONG_CALLS: usize = 2;

/// Bytes that all bodies together may take while they are read.
const BODIES: usize = 24 << 20;

/// The whole service.
pub(crate) struct App {
    pub(crate) args: Args,
    pub(crate) database: Database,
    pub(crate) redis: Redis,
    pub(crate) recent: Recent,
    pub(crate) working: Working,
    pub(crate) vectors: Vectors,
    pub(crate) metrics: Metrics,
    pub(crate) gate: Gate,
    pub(crate) long_calls: Arc<Semaphore>,
    /// In KiB.
    pub(crate) bodies: Arc<Semaphore>,
}

impl App {
    /// As `args` say; nothing is connected yet.
    ///
    /// # Errors
    /// When a credential cannot be read.
    pub(crate) fn new(args: Args) -> Result<Self> {
        let random = random().or_fail_io(|| "reading /dev/urandom")?;
        let process = u64::from_le_bytes(random.first_chunk::<8>().copied().unwrap_or_default());
        Ok(Self {
            database: Database::new(&args)?,
            redis: Redis::new(&args.redis_socket)?,
            recent: Recent::new(process, args.cache),
            working: Working::new(&args),
            vectors: Vectors::new(args.embed_socket.clone()),
            metrics: Metrics::default(),
            gate: Gate::new(&args)?,
            long_calls: Arc::new(Semaphore::new(LONG_CALLS)),
            bodies: Arc::new(Semaphore::new(BODIES >> 10)),
            args,
        })
    }

    /// How long nexus-embed may take over a query: most of what the request has is left to the search.
    pub(crate) fn query_time(&self) -> Duration {
        self.args.embed_time.min(self.args.timeout / 2)
    }
}

/// Sixteen random bytes.
///
/// # Errors
/// When the system has none.
pub(crate) fn random() -> std::io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
