//! What is asked of PostgreSQL. Every question is one agent's: row-level security shows it that agent's rows alone.

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

/// The table, with its schema.
const TABLE: &str = "nexus_memory.zep_episodic_memory";
