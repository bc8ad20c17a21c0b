//! Watches the locks while rows are copied. The snapshot's session is idle meanwhile, so deadlock detection does not see it: an
//! ALTER TABLE that waits for its locks, and blocks every reader behind it, would wait for minutes.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::printable;
use nexus_postgres::failure::from_client;
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;

use crate::snapshot::{APPLICATION, Snapshot};
use crate::tries::GiveWay;

/// How often to check.
const EVERY: Duration = Duration::from_secs(1);

/// How long to wait for a reply: a server that hangs must not delay the end of the job.
const ANSWER: Duration = Duration::from_secs(5);

/// Our sessions in the server: those that copy, and pg_dump's.
const OURS: [&str; 3] = [APPLICATION, "pg_dump", "pg_dumpall"];

/// Sessions that have waited five seconds for a lock on a table that the process `$1` holds, and our own sessions that have
/// waited as long for any lock, with the owner of the session and the table.
///
/// Sessions that wait for the end of the snapshot itself (CREATE INDEX CONCURRENTLY) block nobody.
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
/// TryLater (75) when one of our sessions waits for a lock, or another session waits for one of ours and this try gives way;
/// else the server's.
pub(crate) fn until_done(
    runtime: &Runtime,
    snapshot: &Snapshot,
    give_way: GiveWay,
    done: &Receiver<()>,
) -> Result<()> {
    let doing = "watching the locks";
    let give_way = give_way == GiveWay::Yes;
    while done.recv_timeout(EVERY) != Err(RecvTimeoutError::Disconnected) {
        let answer = runtime.block_on(async {
            let values: [&(dyn ToSql + Sync); 3] = [&snapshot.pid, &OURS.as_slice(), &give_way];
            let question = snapshot.beside.query_opt(WAITING, &values);
            tokio::time::timeout(ANSWER, question).await
        });
        let Ok(answer) = answer else { continue };
        let Some(row) = answer.map_err(|error| from_client(doing, &error))? else { continue };
        let (ours, what): (bool, String) = (row.get(0), printable(row.get(1)));
        let (cause, advice) = if ours {
            (
                "the backup waits for a lock that another session holds",
                "Wait until that has ended and run it again",
            )
        } else {
            (
                "another session waits for the backup's lock, and others behind it",
                "Run it again when that has ended",
            )
        };
        return Err(Failure::new(Exit::TryLater, format!("reading {what}")).because(cause).advise(advice));
    }
    Ok(())
}
