//! Locks every table before the snapshot is taken. TRUNCATE and an ALTER TABLE that rewrites give a table a new file, and a
//! snapshot from before their commit finds no rows in it (PostgreSQL manual, "Caveats" of "Concurrency Control").

use std::collections::{BTreeMap, BTreeSet};

use nexus_cli::failure::{Exit, Failure};
use nexus_postgres::failure::{from_client, is_busy};
use nexus_postgres::quote;
use tokio_postgres::Client;

/// How long to wait for a lock. The waiting session holds locks on other tables.
pub(crate) const PATIENCE: &str = "10s";

const DOING: &str = "locking the tables";

/// Every table with its own rows, partitioned tables, and tables of extensions, whose rows pg_dump may write.
///
/// The text has everything in which the table may differ from a snapshot before a change.
const TABLES: &str = "\
SELECT c.oid, n.nspname::text, c.relname::text, pg_catalog.concat_ws(' ', c.relfilenode, c.relkind, c.relispartition, \
  (SELECT pg_catalog.string_agg(i.inhparent::text, ',' ORDER BY i.inhseqno) FROM pg_catalog.pg_inherits i \
    WHERE i.inhrelid = c.oid), \
  (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(':', a.attname, a.atttypid, a.atttypmod, a.attgenerated), ',' \
      ORDER BY a.attnum) \
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)) \
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
WHERE c.relkind IN ('r', 'p') AND c.relpersistence IN ('p', 'u') \
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'";

const HELD: &str = "\
SELECT relation FROM pg_catalog.pg_locks \
WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND granted AND mode = 'AccessShareLock'";

/// The session that has held a lock on a table of this database for longest that keeps others from reading it.
const HOLDER: &str = "\
SELECT a.pid, a.usename::text, a.application_name, l.relation::pg_catalog.regclass::text, \
  pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - a.xact_start)::text \
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid) \
JOIN pg_catalog.pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p') \
WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'AccessExclusiveLock' \
  AND a.datname = pg_catalog.current_database() ORDER BY a.xact_start LIMIT 1";

/// A table's names and its definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    schema: String,
    table: String,
    shape: String,
}

/// Tables by OID.
pub(crate) type Tables = BTreeMap<u32, Seen>;

/// Why the snapshot could not be taken.
pub(crate) enum Refusal {
    /// Other sessions changed definitions meanwhile: another snapshot may succeed.
    Altered(Failure),
    /// Anything else.
    Other(Failure),
}

/// A listed table may be gone by now, or be read while it is being replaced: undefined_table, invalid_schema_name, and
/// internal_error ("cache lookup failed for …").
const ALTERED: [&str; 3] = ["SQLSTATE 42P01", "SQLSTATE 3F000", "SQLSTATE XX000"];

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let said = failure.to_string();
        if ALTERED.iter().any(|code| said.contains(code)) {
            Self::Altered(failure)
        } else {
            Self::Other(failure)
        }
    }
}

/// Lists the tables as the session sees them.
///
/// # Errors
/// The server's.
pub(crate) async fn list(client: &Client) -> Result<Tables, Refusal> {
    let rows = client.query(TABLES, &[]).await.map_err(|e| from_client("listing the tables to lock", &e))?;
    let seen = |row: &tokio_postgres::Row| Seen { schema: row.get(1), table: row.get(2), shape: row.get(3) };
    Ok(rows.iter().map(|row| (row.get(0), seen(row))).collect())
}

/// Takes the weakest lock on each table, as pg_dump does: reading and writing go on, DROP and ALTER wait. It takes no snapshot
/// in a transaction that has none yet. `beside` looks up who is in the way.
///
/// # Errors
/// TryLater (75) when another session holds an exclusive lock.
pub(crate) async fn take<'a>(
    client: &Client,
    beside: &Client,
    tables: impl Iterator<Item = &'a Seen>,
) -> Result<(), Refusal> {
    let names: Vec<_> = tables.map(|seen| quote::qualified(&seen.schema, &seen.table)).collect();
    for sql in statements(&names) {
        let Err(error) = client.batch_execute(&sql).await else { continue };
        return Err(match error.code() {
            // lock_timeout expired; or another session took its locks in another order, and the server ended the
            // deadlock.
            Some(code) if is_busy(code.code()) => held_by(beside).await?,
            _ => from_client(DOING, &error),
        }
        .into());
    }
    Ok(())
}

/// As [`held_by_another`], with the session that is in the way; it may be gone by now.
async fn held_by(beside: &Client) -> Result<Failure, Failure> {
    let holder = beside.query_opt(HOLDER, &[]).await.map_err(|error| from_client(DOING, &error))?;
    let Some(row) = holder else { return Ok(held_by_another(DOING)) };
    let pid: i32 = row.get(0);
    let text = |column| row.get::<_, Option<&str>>(column).unwrap_or_default();
    let (role, program, table, since) = (text(1), text(2), text(3), text(4));
    Ok(Failure::new(Exit::TryLater, DOING)
        .because(format!(
            "another session holds an exclusive lock on {table} for {since}: server process {pid} of role {role} ({program})"
        ))
        .advise(format!(
            "Wait until it has ended, or end it (SELECT pg_terminate_backend({pid})), and run it again"
        )))
}

/// Many names a statement, so that thousands of tables are not thousands of round trips.
pub(crate) fn statements(names: &[String]) -> impl Iterator<Item = String> + '_ {
    names.chunks(200).map(|some| format!("LOCK TABLE ONLY {} IN ACCESS SHARE MODE", some.join(", ONLY ")))
}

/// The failure when a lock was not granted in time.
pub(crate) fn held_by_another(doing: &str) -> Failure {
    Failure::new(Exit::TryLater, doing)
        .because("another session holds an exclusive lock")
        .advise("Wait until its VACUUM FULL, ALTER TABLE or the like has ended and run it again")
}

/// Locks the tables that only the snapshot has, then checks that every table of the snapshot is unchanged: `beside` is a
/// session that sees what is committed now.
///
/// # Errors
/// As [`take`]; `Altered` when a table has changed.
pub(crate) async fn settle(client: &Client, beside: &Client) -> Result<(), Refusal> {
    let seen = list(client).await?;
    let held = client.query(HELD, &[]).await.map_err(|e| from_client(DOING, &e))?;
    let held: BTreeSet<u32> = held.iter().map(|row| row.get(0)).collect();
    take(client, beside, seen.iter().filter(|(oid, _)| !held.contains(oid)).map(|(_, seen)| seen)).await?;
    let now = list(beside).await?;
    match seen.iter().find(|(oid, table)| now.get(oid) != Some(*table)) {
        None => Ok(()),
        Some((_, Seen { schema, table, .. })) => {
            let cause = format!("{schema}.{table} was altered or emptied in each of ten tries");
            let failure = Failure::new(Exit::TryLater, "taking a snapshot of all tables").because(cause);
            Err(Refusal::Altered(failure.advise("Try again when no session keeps altering tables")))
        }
    }
}
