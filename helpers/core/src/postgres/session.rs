//! What every session of a job is set to, so that no timeout that a person has set in postgresql.conf, with ALTER DATABASE or with
//! ALTER ROLE ends it in the middle of its work. What a job needs besides it sets itself, afterwards.

/// The startup parameter `options`: it counts for more than those three (PostgreSQL manual, "Setting Parameters"), and from the
/// first statement on. All supported servers know these settings.
///
/// No job waits for another session's lock for ever: its own locks would stop others meanwhile, and a session that holds a
/// snapshot and does nothing is seen by no deadlock detection.
pub const OPTIONS: &str = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0 -c lock_timeout=2min";

/// For what only newer servers have (`transaction_timeout`: PostgreSQL 17), which would refuse a session to `options`; the first
/// statement of every session.
pub const FIRST: &str = "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'";
