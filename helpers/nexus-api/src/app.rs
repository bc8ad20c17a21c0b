//! The state that all calls share.

use std::sync::Arc;
use std::time::Duration;

use nexus_cli::failure::Result;
use tokio::sync::Semaphore;

use crate::args::Args;
use crate::cache::recent::Recent;
use crate::cache::redis::Redis;
use crate::cache::working::Working;
use crate::memory::pool::Database;
use crate::metrics::Metrics;
use crate::vectors::Vectors;

/// Exports and imports at once: each holds its own connection for as long as its client takes.
const LONG_CALLS: usize = 2;

/// Bytes that all bodies together may take while they are read.
const BODIES: usize = 24 << 20;

/// The state that all calls share.
pub(crate) struct App {
    pub(crate) args: Args,
    pub(crate) database: Database,
    pub(crate) redis: Redis,
    pub(crate) recent: Recent,
    pub(crate) working: Working,
    pub(crate) vectors: Vectors,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) long_calls: Arc<Semaphore>,
    /// In KiB.
    pub(crate) bodies: Arc<Semaphore>,
}

impl App {
    /// Creates the state from `args`. Connects to nothing yet.
    ///
    /// # Errors
    /// If a credential cannot be read.
    pub(crate) fn new(args: Args) -> Result<Self> {
        Ok(Self {
            database: Database::new(&args)?,
            redis: Redis::new(&args.redis_socket)?,
            recent: Recent::new(args.cache),
            working: Working::new(&args),
            vectors: Vectors::new(args.embed_socket.clone()),
            metrics: Arc::default(),
            long_calls: Arc::new(Semaphore::new(LONG_CALLS)),
            bodies: Arc::new(Semaphore::new(BODIES >> 10)),
            args,
        })
    }

    /// Returns the time limit of nexus-embed for a query. Most of the request's time stays for the
    /// search.
    pub(crate) fn query_time(&self) -> Duration {
        self.args.embed_time.min(self.args.timeout / 2)
    }
}
