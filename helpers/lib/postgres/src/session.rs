//! Settings of every session of a job, so that no timeout that the owner has set in postgresql.conf, with ALTER DATABASE or
//! with ALTER ROLE ends it in the middle of its work. A job sets its other needs itself, afterwards.

/// The startup parameter `options`: it overrides those three (PostgreSQL manual, "Setting Parameters"), from the first
/// statement on. All supported servers know these settings.
///
/// No job waits for another session's lock for ever: its own locks would block others meanwhile, and deadlock detection
/// does not see a session that holds a snapshot and is idle.
pub const OPTIONS: &str = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0 -c lock_timeout=2min";

/// The first statement of every session, for settings that only newer servers have (`transaction_timeout`: PostgreSQL 17):
/// older ones would refuse them in `options`.
pub const FIRST: &str = "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'";
