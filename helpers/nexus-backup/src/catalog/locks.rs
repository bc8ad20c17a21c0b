//! Locks every table before the snapshot is taken. TRUNCATE, and an ALTER TABLE that rewrites the table, give it a new file.
//! A snapshot from before their commit finds no rows there (PostgreSQL manual, "Concurrency Control", "Caveats").

use std::collections::{BTreeMap, BTreeSet};

use nexus_cli::failure::{Exit, Failure};
use nexus_postgres::failure::{from_client, is_busy};
use nexus_postgres::quote;
use tokio_postgres::Client;

/// How long to wait for a lock. Meanwhile the session holds locks on other tables.
pub(crate) const LOCK_TIMEOUT: &str = "10s";

const DOING: &str = "locking the tables";

/// Lists every table with rows of its own, and every partitioned table. Includes the tables of extensions: pg_dump may write
/// their rows.
///
/// The last column changes whenever the table is altered so that an older snapshot no longer fits it.
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

const OWN_LOCKS: &str = "\
SELECT relation FROM pg_catalog.pg_locks \
WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND granted AND mode = 'AccessShareLock'";

/// Finds the oldest transaction that holds an exclusive lock on a table of this database.
const HOLDER: &str = "\
SELECT a.pid, a.usename::text, a.application_name, l.relation::pg_catalog.regclass::text, \
  pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - a.xact_start)::text \
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid) \
JOIN pg_catalog.pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p') \
WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'AccessExclusiveLock' \
  AND a.datname = pg_catalog.current_database() ORDER BY a.xact_start LIMIT 1";

/// A table's name and definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableState {
    schema: String,
    table: String,
    definition: String,
}

/// Tables by OID.
pub(crate) type Tables = BTreeMap<u32, TableState>;

/// Why the snapshot could not be taken.
pub(crate) enum Refusal {
    /// Another session altered a table meanwhile. Another try may succeed.
    Altered(Failure),
    /// Any other failure.
    Other(Failure),
}

/// The errors if a listed table was dropped or replaced meanwhile: undefined_table, invalid_schema_name, and internal_error
/// ("cache lookup failed for …").
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

/// Lists the tables that the session sees.
pub(crate) async fn list(client: &Client) -> Result<Tables, Refusal> {
    let rows = client.query(TABLES, &[]).await.map_err(|e| from_client("listing the tables to lock", &e))?;
    let seen = |row: &tokio_postgres::Row| TableState {
        schema: row.get(1),
        table: row.get(2),
        definition: row.get(3),
    };
    Ok(rows.iter().map(|row| (row.get(0), seen(row))).collect())
}

/// Takes the weakest lock on each table, as pg_dump does: others can read and write, but DROP and ALTER wait. LOCK TABLE does
/// not take the transaction's snapshot. `observer` finds the blocking session.
///
/// # Errors
/// TryLater (75) if another session holds an exclusive lock.
pub(crate) async fn take<'a>(
    client: &Client,
    observer: &Client,
    tables: impl Iterator<Item = &'a TableState>,
) -> Result<(), Refusal> {
    let names: Vec<_> = tables.map(|seen| quote::qualified(&seen.schema, &seen.table)).collect();
    for sql in statements(&names) {
        let Err(error) = client.batch_execute(&sql).await else { continue };
        return Err(match error.code() {
            // lock_timeout expired, or the server broke a deadlock with a session that locks in another order.
            Some(code) if is_busy(code.code()) => held_by(observer).await?,
            _ => from_client(DOING, &error),
        }
        .into());
    }
    Ok(())
}

/// Returns the failure that names the blocking session, or [`held_by_another`] if that session has ended.
async fn held_by(observer: &Client) -> Result<Failure, Failure> {
    let holder = observer.query_opt(HOLDER, &[]).await.map_err(|error| from_client(DOING, &error))?;
    let Some(row) = holder else { return Ok(held_by_another(DOING)) };
    let pid: i32 = row.get(0);
    let text = |column| row.get::<_, Option<&str>>(column).unwrap_or_default();
    let (role, program, table, since) = (text(1), text(2), text(3), text(4));
    Ok(Failure::new(Exit::TryLater, DOING)
        .because(format!(
            "another session holds an exclusive lock on {table}: server process {pid} of role {role} ({program}), whose \
             transaction began {since} ago"
        ))
        .advise(format!(
            "Wait until that session has ended, or end it (SELECT pg_terminate_backend({pid})), then run the backup again"
        )))
}

/// Returns the LOCK statements. Each locks many tables, so that thousands of tables need few round trips.
pub(crate) fn statements(names: &[String]) -> impl Iterator<Item = String> + '_ {
    names.chunks(200).map(|some| format!("LOCK TABLE ONLY {} IN ACCESS SHARE MODE", some.join(", ONLY ")))
}

/// Makes the failure for a lock that was not granted in time.
pub(crate) fn held_by_another(doing: &str) -> Failure {
    Failure::new(Exit::TryLater, doing)
        .because("another session holds an exclusive lock")
        .advise("Wait until its VACUUM FULL, ALTER TABLE or the like has ended, then run the backup again")
}

/// Locks the tables that the snapshot sees and [`take`] did not lock, then checks that no table of the snapshot has changed.
/// `observer` is a session that sees what is committed now.
///
/// # Errors
/// Those of [`take`]; `Altered` if a table has changed.
pub(crate) async fn lock_new_and_check(client: &Client, observer: &Client) -> Result<(), Refusal> {
    let seen = list(client).await?;
    let locked = client.query(OWN_LOCKS, &[]).await.map_err(|e| from_client(DOING, &e))?;
    let locked: BTreeSet<u32> = locked.iter().map(|row| row.get(0)).collect();
    take(client, observer, seen.iter().filter(|(oid, _)| !locked.contains(oid)).map(|(_, seen)| seen))
        .await?;
    let now = list(observer).await?;
    match seen.iter().find(|(oid, table)| now.get(oid) != Some(*table)) {
        None => Ok(()),
        Some((_, TableState { schema, table, .. })) => {
            let cause = format!("{schema}.{table} was altered or emptied in each of ten tries");
            let failure = Failure::new(Exit::TryLater, "taking a snapshot of all tables").because(cause);
            Err(Refusal::Altered(failure.advise("Try again when no session keeps altering tables")))
        }
    }
}
