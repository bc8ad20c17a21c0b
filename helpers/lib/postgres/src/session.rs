//! Settings of every session of a job. They disable the timeouts that the owner has set in
//! postgresql.conf, with ALTER DATABASE or with ALTER ROLE, so that none ends a job. A job sets its
//! other needs itself, afterwards.

/// The startup parameter `options`, which overrides all three from the first statement on
/// (PostgreSQL manual, "Setting Parameters"). All supported servers know these settings.
///
/// A job does not wait for a lock for ever: its own locks would block others in the meantime, and
/// deadlock detection ignores an idle session that holds a snapshot. The search_path is that of the
/// first statement: the owner of a database could set one with operators of their own, and a role.
pub const OPTIONS: &str = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0 -c lock_timeout=2min \
     -c search_path=pg_catalog -c role=none";

/// The first statement of every session, for a setting that older servers would reject in `options`
/// (`transaction_timeout`: PostgreSQL 17).
pub const FIRST: &str = "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'";
