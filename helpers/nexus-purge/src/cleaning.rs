//! After the rows are gone for everybody: taking them out of the table's pages and indexes, and out of the log.
//!
//! VACUUM makes their room free for new rows, gently, and waits for nobody. It does not overwrite that room: that is done
//! next, as gently (see scrubbing). A rewrite of the table (VACUUM FULL) leaves nothing either, and locks it for that time:
//! whoever wants it says so.

use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_ledger::forgetting::Table;
use nexus_postgres::blocking::Control;

use crate::reindexing::{Reindexed, Which, reindex};
use crate::scrubbing;

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
    /// Bytes of free room that were overwritten.
    pub(crate) overwritten: u64,
    /// Indexes that were written anew.
    pub(crate) reindexed: u64,
    /// Who still sees the rows, so that they could not be taken out yet.
    pub(crate) held_by: Option<String>,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

/// What becomes of the room that was freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It is left as it is.
    Left,
    /// It is overwritten.
    Overwritten,
    /// The table is written anew without it.
    Rewritten,
}

/// Takes out what was deleted; `are_many` says that it was a large part of the table.
///
/// # Errors
/// The server's.
pub(crate) fn clean(
    control: &Control,
    table: &Table,
    room: Room,
    are_many: bool,
    progress: &Progress,
) -> Result<Cleaned> {
    let before = size(control, table)?;
    let held_by = wait_for_older_sessions(control, progress)?;
    let mut anew = Reindexed::default();
    // First, so that VACUUM has nothing to do in it.
    if are_many && held_by.is_none() && room != Room::Rewritten {
        anew = reindex(control, table, Which::Graphs, progress)?;
    }
    let doing = format!("vacuuming {table}");
    control.run(&doing, GENTLY)?;
    let vacuum = || -> Result<()> {
        progress.doing(&doing);
        let sql = format!("VACUUM (ANALYZE, INDEX_CLEANUP ON) {}", table.qualified());
        control.run_while(&doing, &sql, || progress.advance(0))
    };
    vacuum()?;
    let mut notes = Vec::new();
    let mut overwritten = 0;
    let is_superuser = is_superuser(control)?;
    match room {
        Room::Left => {}
        // What somebody still sees is not free yet: the next run comes for it.
        Room::Overwritten if held_by.is_some() => {}
        Room::Overwritten if !is_superuser => {
            notes.push(
                "the role is no superuser: the free room of the table's pages was not overwritten".into(),
            );
        }
        Room::Overwritten => {
            let scrubbed = scrubbing::scrub(control, table, progress)?;
            overwritten = scrubbed.bytes;
            notes.extend(scrubbed.notes);
            if overwritten > 0 {
                // The filler goes, too.
                vacuum()?;
            }
            let others = reindex(control, table, Which::Others, progress)?;
            anew.indexes += others.indexes;
            anew.notes.extend(others.notes);
            control.run(&doing, GENTLY)?;
        }
        Room::Rewritten => {
            let doing = format!("rewriting {table}");
            progress.doing(&doing);
            let sql = format!("VACUUM (FULL) {}", table.qualified());
            control.run_while(&doing, &sql, || progress.advance(0))?;
        }
    }
    if room != Room::Left && is_superuser {
        // The planner's statistics hold samples of the rows, and so do their own old pages: a small table, soon written.
        let doing = "rewriting the planner's statistics";
        control.run_while(doing, "VACUUM (FULL) pg_catalog.pg_statistic", || progress.advance(0))?;
    }
    notes.append(&mut anew.notes);
    notes.extend(leave_the_log(control, is_superuser, progress)?);
    Ok(Cleaned {
        given_back: before.saturating_sub(size(control, table)?),
        overwritten,
        held_by,
        reindexed: anew.indexes,
        notes,
    })
}

/// A new segment of the log and a checkpoint: the segments before it are then removed, with what they say of the rows.
fn leave_the_log(control: &Control, is_superuser: bool, progress: &Progress) -> Result<Option<String>> {
    if !is_superuser {
        return Ok(Some(
            "the role is no superuser: the log keeps what it says of the rows until checkpoints drop it"
                .into(),
        ));
    }
    let doing = "leaving the log behind that still has the rows";
    progress.doing(doing);
    control.run(doing, "SELECT pg_catalog.pg_switch_wal()")?;
    control.run_while(doing, "CHECKPOINT", || progress.advance(0))?;
    let recycles: bool =
        control.row(doing, "SELECT pg_catalog.current_setting('wal_recycle')::boolean", &[])?.get(0);
    Ok(recycles.then(|| {
        "wal_recycle is on: segments of the log that are kept to be used again still hold the rows (nexus-setup sets it off)"
            .to_owned()
    }))
}

pub(crate) fn is_superuser(control: &Control) -> Result<bool> {
    let sql = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    Ok(control.row("asking whether the role is a superuser", sql, &[])?.get(0))
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
    // NULL when it was dropped meanwhile.
    let bytes: Option<i64> = control.row("asking for the table's size", &sql, &[])?.get(0);
    Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
}
