//! Writing a set's files: pg_dump, the tables and Redis at once, then the manifest and what explains it.

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
use crate::snapshot::Snapshot;
use crate::staging::Staging;
use crate::stock;
use crate::tries::GiveWay;
use crate::watch;

/// All that writing needs.
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
    /// Lines of the purge ledger before the snapshot was opened.
    pub(crate) settled: u64,
    pub(crate) runtime: &'a Runtime,
    pub(crate) began: Instant,
    pub(crate) give_way: GiveWay,
}

/// The files that were written and what is in them.
pub(crate) struct Written {
    pub(crate) manifest: Manifest,
    pub(crate) files: BTreeMap<String, Stored>,
}

impl Written {
    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.values().map(|stored| stored.bytes).sum()
    }
}

/// What the threads have made so far.
#[derive(Default)]
struct Made {
    files: BTreeMap<String, Stored>,
    tables: Vec<(usize, Table)>,
    large_objects: Option<LargeObjects>,
    /// What the archive sets the sequences to.
    archived: BTreeMap<String, Vec<SequenceState>>,
    redis: Option<Redis>,
    redis_missing: Option<String>,
    timings: BTreeMap<String, u64>,
}

/// Writes everything but SHA256SUMS.
///
/// # Errors
/// The first failure of any part; the others are stopped.
pub(crate) fn contents(job: Job<'_>) -> Result<Written> {
    let made = Mutex::new(Made::default());
    let next = Mutex::new(0..job.snapshot.tables.len());
    let first_failure = Mutex::new(None);

    let guard = |part: &dyn Fn() -> Result<()>| {
        if let Err(failure) = part() {
            // The first is the cause; the others only fail because they are stopped.
            if let Ok(mut first) = first_failure.lock() {
                first.get_or_insert(failure);
            }
            job.stop.because_another_failed();
        }
    };
    thread::scope(|scope| {
        let (job, made, next, guard) = (&job, &made, &next, &guard);
        let (at_work, done) = channel::<()>();
        // Each part drops its end of the channel when it is done.
        let part = || at_work.clone();
        let end = part();
        scope.spawn(move || (guard(&|| definitions(job, made)), drop(end)));
        for worker in 0..workers(job) {
            let end = part();
            scope.spawn(move || (guard(&|| tables(job, made, next, worker == 0)), drop(end)));
        }
        if let Part::Wanted(facts) = &job.redis {
            let end = part();
            scope.spawn(move || (guard(&|| snapshot_of_redis(job, facts, made)), drop(end)));
        }
        drop(at_work);
        guard(&|| watch::until_done(job.runtime, &job.snapshot, job.give_way, &done));
    });
    if let Some(failure) = locked(&first_failure)?.take() {
        if job.stop.is_by_signal() {
            // Whoever noticed first says it in its own words, such as that a server could not be written to.
            job.stop.check()?;
        }
        return Err(failure);
    }
    finish(job, made.into_inner().map_err(|_| panicked())?)
}

/// The wanted number of sessions, or fewer if their locks with those of the snapshot and pg_dump do not fit in the server.
fn workers(job: &Job<'_>) -> usize {
    let tables = job.snapshot.tables.len();
    let room = usize::try_from(job.snapshot.lock_places).unwrap_or(0).checked_div(tables).unwrap_or(1);
    usize::from(job.args.jobs).min(tables).min(room.saturating_sub(2)).max(1)
}

fn definitions(job: &Job<'_>, made: &Mutex<Made>) -> Result<()> {
    let began = Instant::now();
    let (dumped, archived) = job.tools.dump(&job.snapshot, job.staging, job.progress)?;
    locked(made)?.archived = archived;
    add(made, DATABASE, dumped, began)?;
    let began = Instant::now();
    let roles = job.tools.dump_roles(job.staging, job.progress)?;
    add(made, ROLES, roles, began)
}

fn tables(
    job: &Job<'_>,
    made: &Mutex<Made>,
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
        add(made, &table.file.clone(), stored, began)?;
        locked(made)?.tables.push((index, table));
    }
    if first && job.snapshot.large_objects > 0 {
        let digest = digest_large_objects(&mut session, job.snapshot.large_objects, job.progress)?;
        locked(made)?.large_objects = Some(digest);
    }
    session.close()
}

fn snapshot_of_redis(job: &Job<'_>, facts: &Facts, made: &Mutex<Made>) -> Result<()> {
    let began = Instant::now();
    match redis::back_up(facts, &job.args.redis_socket, job.staging, job.progress, job.stop) {
        Ok((redis, stored)) => {
            add(made, REDIS, stored, began)?;
            locked(made)?.redis = Some(redis);
        }
        Err(failure) if redis::is_bearable(job.args.redis, &failure, job.stop) => {
            job.staging.discard(REDIS)?;
            locked(made)?.redis_missing = Some(failure.to_string());
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

fn add(made: &Mutex<Made>, file: &str, stored: Stored, began: Instant) -> Result<()> {
    let mut made = locked(made)?;
    made.timings.insert(file.to_owned(), u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    made.files.insert(file.to_owned(), stored);
    Ok(())
}

fn finish(job: Job<'_>, mut made: Made) -> Result<Written> {
    if let Part::Missing(why) = &job.redis {
        made.redis_missing = Some(why.clone());
    }
    made.tables.sort_by_key(|(index, _)| *index);
    let before = job.snapshot.sequences.clone();
    let (taken, postgres) = (job.snapshot.taken, job.snapshot.postgres.clone());
    let ledger = ledger::back_up(&job.args.purge_ledger, job.settled, job.staging, &mut made.files)?;
    let (objects, left_out) = (job.snapshot.objects.clone(), job.snapshot.left_out.clone());
    let bare_names = job.snapshot.bare_names.clone();
    let after = job.runtime.block_on(job.snapshot.close())?;
    made.timings.insert("all".to_owned(), u64::try_from(job.began.elapsed().as_millis()).unwrap_or(u64::MAX));
    let manifest = Manifest {
        format: FORMAT,
        sequence: job.name.sequence,
        taken,
        nexus_version: env!("CARGO_PKG_VERSION").to_owned(),
        postgres,
        tables: made.tables.into_iter().map(|(_, table)| table).collect(),
        sequences: ranges(&before, &after, made.archived),
        objects: Some(objects),
        left_out: Some(left_out),
        bare_names,
        large_objects: made.large_objects,
        redis: made.redis,
        redis_missing: made.redis_missing,
        ledger,
        recipients: job.staging.recipients().iter().map(ToString::to_string).collect(),
        timings: made.timings,
    };
    let json = serde_json::to_vec_pretty(&manifest).or_fail(Exit::Software, || "writing the manifest")?;
    let mut files = made.files;
    files.insert(MANIFEST.to_owned(), job.staging.write_sealed(MANIFEST, &json)?);
    let script = stock::script(&manifest);
    files.insert(RESTORE_SCRIPT.to_owned(), job.staging.write_sealed(RESTORE_SCRIPT, script.as_bytes())?);
    if manifest.redis_missing.is_some() {
        let text = stock::REDIS_MISSING_TEXT.trim_start();
        files.insert(REDIS_MISSING.to_owned(), job.staging.write_clear(REDIS_MISSING, text.as_bytes())?);
    }
    let text = stock::text(&job.name, &manifest);
    files.insert(RESTORE_TEXT.to_owned(), job.staging.write_clear(RESTORE_TEXT, text.as_bytes())?);
    Ok(Written { manifest, files })
}

/// A sequence that was dropped since is where it was.
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
