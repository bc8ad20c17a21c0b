//! Queries PostgreSQL. Each query runs as one agent, and row-level security shows it only that
//! agent's rows.

pub(crate) mod candidates;
pub(crate) mod episodes;
pub(crate) mod error;
pub(crate) mod export;
pub(crate) mod idempotency;
pub(crate) mod import;
pub(crate) mod insert;
pub(crate) mod pipeline;
pub(crate) mod pool;
pub(crate) mod search;
pub(crate) mod statistics;

/// The table of episodes.
const TABLE: &str = "nexus_memory.zep_episodic_memory";
