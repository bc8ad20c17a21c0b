//! Removes the deleted rows from the table's pages and indexes, and from the write-ahead log.
//!
//! VACUUM frees their space, slowly and without waiting for other sessions, but does not overwrite it; `scrubbing` does.
//! A rewrite of the table (VACUUM FULL) leaves nothing either, but locks the table, so it needs `--rewrite`.

use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_ledger::forgetting::Table;
use nexus_postgres::blocking::Control;

use crate::reindexing::{IndexKind, Reindexed, reindex};
use crate::scrubbing;

/// How long to wait for sessions that may still see the rows.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time between two checks for such sessions.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// VACUUM sleeps after every 1000 points of cost (autovacuum after 200), because repairing a vector index touches many pages for
/// each row.
const THROTTLE: &str = "SET vacuum_cost_delay = '2ms'; SET vacuum_cost_limit = 1000; SET lock_timeout = '5s'";

/// What the cleaning has done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cleaned {
    /// Bytes returned to the file system.
    pub(crate) given_back: u64,
    /// Bytes of free space that were overwritten.
    pub(crate) overwritten: u64,
    /// Indexes that were rebuilt.
    pub(crate) reindexed: u64,
    /// A session that may still see the rows; they stay in the pages until it ends.
    pub(crate) held_by: Option<String>,
    /// Warnings.
    pub(crate) notes: Vec<String>,
}

/// What to do with the space that the rows leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Free it, and leave its bytes.
    Vacuum,
    /// Overwrite it.
    Scrub,
    /// Rewrite the table without it.
    Rewrite,
}

/// Removes the deleted rows from the files; `are_many` says that they were a large part of the table.
pub(crate) fn clean(
    control: &Control,
    table: &Table,
    method: Method,
    are_many: bool,
    progress: &Progress,
) -> Result<Cleaned> {
    let before = size(control, table)?;
    let held_by = wait_for_older_sessions(control, progress)?;
    let mut rebuilt = Reindexed::default();
    // Before VACUUM, which then has nothing to do in these indexes.
    if are_many && held_by.is_none() && method != Method::Rewrite {
        rebuilt = reindex(control, table, IndexKind::Hnsw, progress)?;
    }
    let doing = format!("vacuuming {table}");
    control.run(&doing, THROTTLE)?;
    let vacuum = || -> Result<()> {
        progress.doing(&doing);
        let sql = format!("VACUUM (ANALYZE, INDEX_CLEANUP ON) {}", table.qualified());
        control.run_while(&doing, &sql, || progress.advance(0))
    };
    vacuum()?;
    let mut notes = Vec::new();
    let mut overwritten = 0;
    let is_superuser = is_superuser(control)?;
    match method {
        Method::Vacuum => {}
        // Rows that a session may still see are not free yet; the next run overwrites them.
        Method::Scrub if held_by.is_some() => {}
        Method::Scrub if !is_superuser => {
            notes.push(
                "the role is not a superuser, so the free space of the table's pages was not overwritten"
                    .into(),
            );
        }
        Method::Scrub => {
            let scrubbed = scrubbing::scrub(control, table, progress)?;
            overwritten = scrubbed.bytes;
            notes.extend(scrubbed.notes);
            if overwritten > 0 {
                // It frees the filler.
                vacuum()?;
            }
            let others = reindex(control, table, IndexKind::Other, progress)?;
            rebuilt.indexes += others.indexes;
            rebuilt.notes.extend(others.notes);
            control.run(&doing, THROTTLE)?;
        }
        Method::Rewrite => {
            let doing = format!("rewriting {table}");
            progress.doing(&doing);
            let sql = format!("VACUUM (FULL) {}", table.qualified());
            control.run_while(&doing, &sql, || progress.advance(0))?;
        }
    }
    if method != Method::Vacuum && is_superuser {
        // The planner's statistics, and the old pages of their small table, hold samples of the rows.
        let doing = "rewriting the planner's statistics";
        control.run_while(doing, "VACUUM (FULL) pg_catalog.pg_statistic", || progress.advance(0))?;
    }
    notes.append(&mut rebuilt.notes);
    notes.extend(remove_old_wal(control, is_superuser, progress)?);
    Ok(Cleaned {
        given_back: before.saturating_sub(size(control, table)?),
        overwritten,
        held_by,
        reindexed: rebuilt.indexes,
        notes,
    })
}

/// Begins a new segment of the write-ahead log. The checkpoint then removes the segments before it, which hold the rows.
fn remove_old_wal(control: &Control, is_superuser: bool, progress: &Progress) -> Result<Option<String>> {
    if !is_superuser {
        return Ok(Some(
            "the role is not a superuser, so the write-ahead log holds the rows until later checkpoints remove its segments"
                .into(),
        ));
    }
    let doing = "removing the segments of the write-ahead log that hold the rows";
    progress.doing(doing);
    control.run(doing, "SELECT pg_catalog.pg_switch_wal()")?;
    control.run_while(doing, "CHECKPOINT", || progress.advance(0))?;
    let recycles: bool =
        control.row(doing, "SELECT pg_catalog.current_setting('wal_recycle')::boolean", &[])?.get(0);
    Ok(recycles.then(|| {
        "wal_recycle is on, so recycled segments of the write-ahead log still hold the rows (nexus-setup turns it off)"
            .to_owned()
    }))
}

pub(crate) fn is_superuser(control: &Control) -> Result<bool> {
    let sql = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    Ok(control.row("checking whether the role is a superuser", sql, &[])?.get(0))
}

/// Waits until no session of this database has a snapshot from before now. After the time limit, returns a session that still has
/// one.
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
        thread::sleep(POLL_INTERVAL);
    }
}

/// Returns the bytes of the table with its partitions, indexes and TOAST tables.
fn size(control: &Control, table: &Table) -> Result<u64> {
    let sql = format!(
        "SELECT sum(pg_catalog.pg_total_relation_size(t.relid))::bigint FROM \
         (SELECT {oid}::oid AS relid UNION SELECT relid::oid FROM pg_catalog.pg_partition_tree({oid})) t",
        oid = table.oid()
    );
    // NULL if the table was dropped meanwhile.
    let bytes: Option<i64> = control.row("reading the table's size", &sql, &[])?.get(0);
    Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
}
