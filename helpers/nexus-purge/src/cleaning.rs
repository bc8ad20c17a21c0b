//! After the rows are gone for everybody: taking them out of the table's pages and indexes, and out of the log.
//!
//! VACUUM makes their room free for new rows, gently, and waits for nobody. It does not overwrite that room: where no row
//! moves into it, bytes of a forgotten text stay in the file until a new row takes their place. Only a rewrite of the table
//! (VACUUM FULL) leaves none, and locks it for that time: whoever wants it says so.

use std::thread;
use std::time::{Duration, Instant};

use nexus_core::failure::Result;
use nexus_core::forgetting::Table;
use nexus_core::postgres::blocking::Control;
use nexus_core::progress::Progress;

/// How long sessions are waited for that may still see the rows.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether they are gone.
const GLANCE: Duration = Duration::from_millis(200);

/// It rests after every 1000 points of work, autovacuum after 200: repairing a vector index touches many pages for each row.
const GENTLY: &str = "SET vacuum_cost_delay = '2ms'; SET vacuum_cost_limit = 1000; SET lock_timeout = '5s'";

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cleaned {
    /// Bytes that the file system has again.
    pub(crate) given_back: u64,
    /// Who still sees the rows, so that they could not be taken out yet.
    pub(crate) held_by: Option<String>,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

/// Takes out what was deleted.
///
/// # Errors
/// The server's.
pub(crate) fn clean(control: &Control, table: &Table, rewrite: bool, progress: &Progress) -> Result<Cleaned> {
    let before = size(control, table)?;
    let held_by = wait_for_older_sessions(control, progress)?;
    let doing = format!("vacuuming {table}");
    progress.doing(&doing);
    control.run(&doing, GENTLY)?;
    let tell = || progress.advance(0);
    control.run_while(&doing, &format!("VACUUM (ANALYZE, INDEX_CLEANUP ON) {}", table.qualified()), tell)?;
    let mut notes = Vec::new();
    if rewrite {
        let doing = format!("rewriting {table}");
        progress.doing(&doing);
        control.run_while(&doing, &format!("VACUUM (FULL) {}", table.qualified()), tell)?;
        // The planner's statistics hold samples of the rows, and so do their own old pages.
        control.run_while(&doing, "VACUUM (FULL) pg_catalog.pg_statistic", tell)?;
    }
    notes.extend(leave_the_log(control, progress)?);
    Ok(Cleaned { given_back: before.saturating_sub(size(control, table)?), held_by, notes })
}

/// A new segment of the log and a checkpoint: the segments before it are then removed, with what they say of the rows.
fn leave_the_log(control: &Control, progress: &Progress) -> Result<Option<String>> {
    let doing = "leaving the log behind that still has the rows";
    progress.doing(doing);
    let row = control.row(
        doing,
        "SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user), \
         pg_catalog.current_setting('wal_recycle')::boolean",
        &[],
    )?;
    if !row.get::<_, bool>(0) {
        return Ok(Some(
            "the role is no superuser: the log keeps what it says of the rows until checkpoints drop it"
                .into(),
        ));
    }
    control.run(doing, "SELECT pg_catalog.pg_switch_wal()")?;
    control.run_while(doing, "CHECKPOINT", || progress.advance(0))?;
    let recycles: bool = row.get(1);
    Ok(recycles.then(|| {
        "wal_recycle is on: segments of the log that are kept to be used again still hold the rows (install.sh sets it off)"
            .to_owned()
    }))
}

/// Waits until no session of this database has a snapshot from before now; gives who still has one in the end.
fn wait_for_older_sessions(control: &Control, progress: &Progress) -> Result<Option<String>> {
    let doing = "waiting for sessions that may still see the rows";
    let now: String = control.row(doing, "SELECT pg_catalog.pg_current_xact_id()::xid::text", &[])?.get(0);
    let older = format!(
        "SELECT pid, coalesce(nullif(application_name, ''), backend_type) FROM pg_catalog.pg_stat_activity \
         WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid() \
         AND backend_type <> 'autovacuum worker' AND pg_catalog.age(backend_xmin) > pg_catalog.age('{now}'::xid) LIMIT 1"
    );
    let began = Instant::now();
    loop {
        let rows = control.rows(doing, &older, &[])?;
        let Some(row) = rows.first() else { return Ok(None) };
        if began.elapsed() > PATIENCE {
            return Ok(Some(format!("{} (process {})", row.get::<_, String>(1), row.get::<_, i32>(0))));
        }
        progress.doing(doing);
        thread::sleep(GLANCE);
    }
}

/// Bytes of the table with all that belongs to it.
fn size(control: &Control, table: &Table) -> Result<u64> {
    let sql = format!(
        "SELECT sum(pg_catalog.pg_total_relation_size(t.relid))::bigint FROM \
         (SELECT {oid}::oid AS relid UNION SELECT relid::oid FROM pg_catalog.pg_partition_tree({oid})) t",
        oid = table.oid()
    );
    let bytes: i64 = control.row("asking for the table's size", &sql, &[])?.get(0);
    Ok(u64::try_from(bytes).unwrap_or(0))
}
