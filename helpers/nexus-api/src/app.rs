//! The state that all calls share.

use std::sync::Arc;
use std::time::Duration;

use nexus_cli::failure::Result;
use nexus_sharing::shares::{Share, Shares};

use crate::args::Args;
use crate::cache::recent::Recent;
use crate::cache::redis::Redis;
use crate::cache::working::Working;
use crate::error::ApiError;
use crate::memory::pool::Database;
use crate::metrics::Metrics;
use crate::peer::{Peer, Sharer};
use crate::vectors::Vectors;

/// Exports and imports at once: each holds its own connection for as long as its client takes. One
/// peer can have two, and then a second and a third one each.
const LONG_CALLS: usize = 4;

/// Bytes that all bodies together may take while they are read, or twice NEXUS_API_BODY if that is
/// more, because one peer can take half.
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
    long_calls: Arc<Shares<Sharer>>,
    /// The memory for bodies, in KiB.
    pub(crate) bodies: Arc<Shares<Sharer>>,
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
            long_calls: Shares::new(LONG_CALLS),
            bodies: Shares::new((2 * args.body).max(BODIES) >> 10),
            args,
        })
    }

    /// Takes the place of an export or import of `peer`.
    ///
    /// # Errors
    /// 503 if `peer`, or all together, have too many.
    pub(crate) fn long_call(&self, peer: Peer) -> std::result::Result<Share<Sharer>, ApiError> {
        self.long_calls.take(peer.sharing(), 1).ok_or_else(|| {
            ApiError::unavailable("busy", "Other exports or imports are in progress; try again.")
        })
    }

    /// Returns the time limit of nexus-embed for a query. Most of the request's time stays for the
    /// search.
    pub(crate) fn query_time(&self) -> Duration {
        self.args.embed_time.min(self.args.timeout / 2)
    }
}
