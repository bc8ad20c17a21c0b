//! Watches the locks during the copy. The snapshot's session is idle then, so the server detects no deadlock with it: an ALTER
//! TABLE that waits for its locks would wait for minutes, and block every reader behind it.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::printable;
use nexus_postgres::failure::from_client;
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;

use crate::retry::GiveWay;
use crate::snapshot::{APPLICATION, Snapshot};

/// The time between two checks.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long to wait for a reply: a server that hangs must not delay the end of the job.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// The application names of our sessions: those that copy, and those of pg_dump and pg_dumpall.
const OUR_NAMES: [&str; 3] = [APPLICATION, "pg_dump", "pg_dumpall"];

/// Finds a session that has waited five seconds for a table lock of process `$1`, or one of our own that has waited five
/// seconds for any lock. Returns whether it is ours, and the table.
///
/// Sessions that wait for the end of the snapshot itself (CREATE INDEX CONCURRENTLY) block no others.
const WAITING: &str = "\
WITH activity AS ( \
  SELECT a.pid, a.application_name = ANY ($2) AND a.backend_start >= s.backend_start AS ours \
  FROM pg_catalog.pg_stat_activity a, pg_catalog.pg_stat_activity s \
  WHERE s.pid = $1 AND a.datname = pg_catalog.current_database()) \
SELECT ours, coalesce(relation::pg_catalog.regclass::text, locktype) \
FROM pg_catalog.pg_locks JOIN activity USING (pid) \
WHERE NOT granted AND waitstart < pg_catalog.clock_timestamp() - interval '5s' \
  AND (ours OR $3 AND locktype = 'relation' AND $1 = ANY (pg_catalog.pg_blocking_pids(pid))) \
ORDER BY waitstart LIMIT 1";

/// Checks every second until the sending half of `done` is dropped.
///
/// # Errors
/// TryLater (75) if one of our sessions waits for a lock, or if another session waits for one of ours and this try gives way.
pub(crate) fn until_done(
    runtime: &Runtime,
    snapshot: &Snapshot,
    give_way: GiveWay,
    done: &Receiver<()>,
) -> Result<()> {
    let doing = "watching the locks";
    let give_way = give_way == GiveWay::Yes;
    while done.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Disconnected) {
        let reply = runtime.block_on(async {
            let values: [&(dyn ToSql + Sync); 3] = [&snapshot.pid, &OUR_NAMES.as_slice(), &give_way];
            let query = snapshot.observer.query_opt(WAITING, &values);
            tokio::time::timeout(REPLY_TIMEOUT, query).await
        });
        let Ok(reply) = reply else { continue };
        let Some(row) = reply.map_err(|error| from_client(doing, &error))? else { continue };
        let (ours, what): (bool, String) = (row.get(0), printable(row.get(1)));
        let (cause, advice) = if ours {
            (
                "the backup waits for a lock that another session holds",
                "Wait until that session has ended, then run the backup again",
            )
        } else {
            (
                "another session waits for the backup's lock, and others behind it",
                "Wait until those sessions have ended, then run the backup again",
            )
        };
        return Err(Failure::new(Exit::TryLater, format!("reading {what}")).because(cause).advise(advice));
    }
    Ok(())
}
