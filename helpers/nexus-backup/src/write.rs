//! Writes a set's files: pg_dump's archive, the tables and Redis in parallel, then the manifest, restore.sh and RESTORE.txt.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use nexus_backup_set::manifest::{
    FORMAT, LargeObjects, Manifest, Redis, SequenceRange, SequenceState, Table,
};
use nexus_backup_set::name::SetName;
use nexus_backup_set::{DATABASE, MANIFEST, REDIS, REDIS_MISSING, RESTORE_SCRIPT, RESTORE_TEXT, ROLES};
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_fs::new_file::Stored;
use nexus_postgres::server::Server;
use tokio::runtime::Runtime;

use crate::archive::Tools;
use crate::args::Args;
use crate::copy::{copy_table, digest_large_objects, session};
use crate::ledger;
use crate::redis::{self, Facts, Part};
use crate::retry::GiveWay;
use crate::snapshot::Snapshot;
use crate::staging::Staging;
use crate::stock;
use crate::watch;

/// The inputs for writing a set.
pub(crate) struct Job<'a> {
    pub(crate) args: &'a Args,
    pub(crate) server: &'a Server,
    pub(crate) tools: &'a Tools,
    pub(crate) staging: &'a Staging,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a Stop,
    pub(crate) name: SetName,
    pub(crate) redis: Part,
    pub(crate) snapshot: Snapshot,
    /// Number of lines in the purge ledger before the snapshot was opened.
    pub(crate) settled: u64,
    pub(crate) runtime: &'a Runtime,
    pub(crate) began: Instant,
    pub(crate) give_way: GiveWay,
}

/// The written files and their manifest.
pub(crate) struct Written {
    pub(crate) manifest: Manifest,
    pub(crate) files: BTreeMap<String, Stored>,
}

impl Written {
    /// Returns the size of all files, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.values().map(|stored| stored.bytes).sum()
    }
}

/// The results of the threads so far.
#[derive(Default)]
struct Parts {
    files: BTreeMap<String, Stored>,
    tables: Vec<(usize, Table)>,
    large_objects: Option<LargeObjects>,
    /// The values to which pg_dump's archive sets the sequences.
    archived: BTreeMap<String, Vec<SequenceState>>,
    redis: Option<Redis>,
    redis_missing: Option<String>,
    timings: BTreeMap<String, u64>,
}

/// Writes everything but SHA256SUMS.
///
/// # Errors
/// The first failure of any thread. It stops the others.
pub(crate) fn contents(job: Job<'_>) -> Result<Written> {
    let parts = Mutex::new(Parts::default());
    let next = Mutex::new(0..job.snapshot.tables.len());
    let first_failure = Mutex::new(None);

    let guard = |part: &dyn Fn() -> Result<()>| {
        if let Err(failure) = part() {
            // The first failure is the cause: the other threads fail because it stops them.
            if let Ok(mut first) = first_failure.lock() {
                first.get_or_insert(failure);
            }
            job.stop.because_another_failed();
        }
    };
    thread::scope(|scope| {
        let (job, parts, next, guard) = (&job, &parts, &next, &guard);
        let (at_work, done) = channel::<()>();
        // Each thread drops its sender when it is done.
        let part = || at_work.clone();
        let end = part();
        scope.spawn(move || (guard(&|| definitions(job, parts)), drop(end)));
        for worker in 0..workers(job) {
            let end = part();
            scope.spawn(move || (guard(&|| tables(job, parts, next, worker == 0)), drop(end)));
        }
        if let Part::Wanted(facts) = &job.redis {
            let end = part();
            scope.spawn(move || (guard(&|| redis_snapshot(job, facts, parts)), drop(end)));
        }
        drop(at_work);
        guard(&|| watch::until_done(job.runtime, &job.snapshot, job.give_way, &done));
    });
    if let Some(failure) = locked(&first_failure)?.take() {
        if job.stop.is_by_signal() {
            // The first failure may be a side effect of the signal, for example a broken connection.
            job.stop.check()?;
        }
        return Err(failure);
    }
    finish(job, parts.into_inner().map_err(|_| panicked())?)
}

/// Returns the configured number of sessions, or fewer: every session locks every table, as the snapshot and pg_dump do, and
/// the server's lock table must hold all of these locks.
fn workers(job: &Job<'_>) -> usize {
    let tables = job.snapshot.tables.len();
    let sessions = usize::try_from(job.snapshot.lock_capacity).unwrap_or(0).checked_div(tables).unwrap_or(1);
    usize::from(job.args.jobs).min(tables).min(sessions.saturating_sub(2)).max(1)
}

fn definitions(job: &Job<'_>, parts: &Mutex<Parts>) -> Result<()> {
    let began = Instant::now();
    let dumped = job.tools.dump(&job.snapshot, job.staging, job.progress);
    if dumped.is_ok() || !job.stop.is_set() {
        // pg_dump may also have failed because of such a change: then another try helps.
        job.runtime.block_on(job.snapshot.require_same_definitions())?;
    }
    let (dumped, archived) = dumped?;
    locked(parts)?.archived = archived;
    add(parts, DATABASE, dumped, began)?;
    let began = Instant::now();
    let roles = job.tools.dump_roles(job.staging, job.progress)?;
    add(parts, ROLES, roles, began)
}

fn tables(
    job: &Job<'_>,
    parts: &Mutex<Parts>,
    next: &Mutex<std::ops::Range<usize>>,
    first: bool,
) -> Result<()> {
    let mut session = session(job.server, &job.snapshot, job.stop)?;
    loop {
        let Some(index) = locked(next)?.next() else { break };
        job.stop.check()?;
        let began = Instant::now();
        let plan = &job.snapshot.tables[index];
        let (table, stored) = copy_table(&mut session, index + 1, plan, job.staging, job.progress)?;
        add(parts, &table.file.clone(), stored, began)?;
        locked(parts)?.tables.push((index, table));
    }
    if first && job.snapshot.large_objects > 0 {
        let digest = digest_large_objects(&mut session, job.snapshot.large_objects, job.progress)?;
        locked(parts)?.large_objects = Some(digest);
    }
    session.close()
}

fn redis_snapshot(job: &Job<'_>, facts: &Facts, parts: &Mutex<Parts>) -> Result<()> {
    let began = Instant::now();
    match redis::back_up(facts, &job.args.redis_socket, job.staging, job.progress, job.stop) {
        Ok((redis, stored)) => {
            add(parts, REDIS, stored, began)?;
            locked(parts)?.redis = Some(redis);
        }
        Err(failure) if redis::may_lack(job.args.redis, &failure, job.stop) => {
            job.staging.discard(REDIS)?;
            locked(parts)?.redis_missing = Some(failure.to_string());
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
}

fn locked<T>(shared: &Mutex<T>) -> Result<MutexGuard<'_, T>> {
    shared.lock().map_err(|_| panicked())
}

fn panicked() -> Failure {
    Failure::new(Exit::Software, "a thread of the backup panicked")
}

fn add(parts: &Mutex<Parts>, file: &str, stored: Stored, began: Instant) -> Result<()> {
    let mut parts = locked(parts)?;
    parts.timings.insert(file.to_owned(), u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    parts.files.insert(file.to_owned(), stored);
    Ok(())
}

fn finish(job: Job<'_>, mut parts: Parts) -> Result<Written> {
    if let Part::Missing(why) = &job.redis {
        parts.redis_missing = Some(why.clone());
    }
    parts.tables.sort_by_key(|(index, _)| *index);
    let before = job.snapshot.sequences.clone();
    let (taken, postgres) = (job.snapshot.taken, job.snapshot.postgres.clone());
    let ledger = ledger::back_up(&job.args.purge_ledger, job.settled, job.staging, &mut parts.files)?;
    let (objects, left_out) = (job.snapshot.objects.clone(), job.snapshot.left_out.clone());
    let bare_names = job.snapshot.bare_names.clone();
    let after = job.runtime.block_on(job.snapshot.close())?;
    parts
        .timings
        .insert("all".to_owned(), u64::try_from(job.began.elapsed().as_millis()).unwrap_or(u64::MAX));
    let manifest = Manifest {
        format: FORMAT,
        sequence: job.name.sequence,
        taken,
        nexus_version: env!("CARGO_PKG_VERSION").to_owned(),
        postgres,
        tables: parts.tables.into_iter().map(|(_, table)| table).collect(),
        sequences: ranges(&before, &after, parts.archived),
        objects: Some(objects),
        left_out: Some(left_out),
        bare_names,
        large_objects: parts.large_objects,
        redis: parts.redis,
        redis_missing: parts.redis_missing,
        ledger,
        recipients: job.staging.recipients().iter().map(ToString::to_string).collect(),
        timings: parts.timings,
    };
    let json = serde_json::to_vec_pretty(&manifest).or_fail(Exit::Software, || "writing the manifest")?;
    let mut files = parts.files;
    files.insert(MANIFEST.to_owned(), job.staging.write_encrypted(MANIFEST, &json)?);
    let script = stock::script(&manifest);
    files.insert(RESTORE_SCRIPT.to_owned(), job.staging.write_encrypted(RESTORE_SCRIPT, script.as_bytes())?);
    if manifest.redis_missing.is_some() {
        let text = stock::REDIS_MISSING_TEXT.trim_start();
        files.insert(REDIS_MISSING.to_owned(), job.staging.write_clear(REDIS_MISSING, text.as_bytes())?);
    }
    let text = stock::text(&job.name, &manifest);
    files.insert(RESTORE_TEXT.to_owned(), job.staging.write_clear(RESTORE_TEXT, text.as_bytes())?);
    Ok(Written { manifest, files })
}

/// Combines the sequences' values before and after the dump. A sequence dropped meanwhile keeps its value from before.
fn ranges(
    before: &BTreeMap<String, SequenceState>,
    after: &BTreeMap<String, SequenceState>,
    mut archived: BTreeMap<String, Vec<SequenceState>>,
) -> BTreeMap<String, SequenceRange> {
    let mut range = |(name, before): (&String, &SequenceState)| {
        let after = *after.get(name).unwrap_or(before);
        let archived = archived.remove(name).unwrap_or_default();
        (name.clone(), SequenceRange { before: *before, after, archived })
    };
    before.iter().map(&mut range).collect()
}
