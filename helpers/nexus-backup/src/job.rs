//! The job: lock, sweep, look, check that it fits, write the set, publish it, rotate.

use std::time::Instant;

use nexus_core::docker::client::Client;
use nexus_core::failure::{Exit, OrFail, Result};
use nexus_core::postgres::server::Server;
use nexus_core::progress::Progress;
use nexus_core::set::directory::{BackupDirectory, Last};
use nexus_core::set::keys;
use nexus_core::set::lock::Lock;
use nexus_core::set::name::SetName;
use nexus_core::stop::Stop;
use serde::Serialize;

use crate::archive::Tools;
use crate::args::Args;
use crate::ledger;
use crate::redis;
use crate::rotation;
use crate::snapshot::Snapshot;
use crate::space;
use crate::staging::Staging;
use crate::write::{self, Written};

/// What a run has done.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Done {
    /// Name of the set.
    pub(crate) set: String,
    /// Where it is.
    pub(crate) path: String,
    /// Bytes of its files.
    pub(crate) bytes: u64,
    /// Rows of all tables.
    pub(crate) rows: u64,
    /// Tables.
    pub(crate) tables: usize,
    /// Whether Redis's snapshot is in it.
    pub(crate) redis: bool,
    /// Microseconds the whole run took.
    pub(crate) usec: u64,
    /// Sets that rotation removed.
    pub(crate) removed: Vec<String>,
}

/// Writes one set and rotates.
///
/// # Errors
/// The first failure; then no new name is in the backup directory and old sets are untouched.
pub(crate) fn run(args: &Args, progress: &Progress, stop: &Stop) -> Result<Done> {
    let began = Instant::now();
    let directory = BackupDirectory::at(&args.backup_dir)?;
    let _lock = Lock::take(directory.path(), "nexus-backup")?;
    rotation::sweep(&directory)?;
    directory.began()?;
    let recipients = keys::recipients(&args.recipients)?;

    let server = Server::from_settings(&args.server)?;
    let docker = docker_client(args, stop);
    let tools =
        Tools::choose(server.clone(), &docker, args.pg_dump.as_deref(), args.pg_dumpall.as_deref(), stop)?;
    let redis_facts = redis::facts_if_wanted(args.redis, &args.redis_socket)?;

    progress.doing("opening the snapshot");
    let runtime = runtime()?;
    let settled = ledger::lines(&args.purge_ledger)?;
    let snapshot = runtime.block_on(Snapshot::open(&server))?;
    let stored_bytes = snapshot.stored_bytes();
    space::measure(directory.path(), stored_bytes, directory.last()?)?.require(directory.path())?;
    progress.expect(stored_bytes);

    let name = SetName::new(directory.next_sequence()?, snapshot.taken);
    let staging = Staging::create(directory.path(), name, recipients, args.zstd_level)?;
    let written = write::contents(write::Job {
        args,
        server: &server,
        tools: &tools,
        staging: &staging,
        progress,
        stop,
        name,
        redis: redis_facts,
        snapshot,
        settled,
        runtime: &runtime,
        began,
    })?;

    progress.doing("publishing");
    stop.check()?;
    let path = staging.publish(&written.files)?;
    directory.finished()?;
    let bytes = written.bytes();
    remember(&directory, Last { sequence: name.sequence, database_bytes: stored_bytes, set_bytes: bytes });
    let removed = rotate(&directory, args)?;
    Ok(done(name, &path, &written, removed, began))
}

fn docker_client(args: &Args, stop: &Stop) -> Client {
    let stop = stop.clone();
    Client::at(&args.docker_socket).checking(move || stop.check())
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_fail(Exit::Software, || "starting the runtime")
}

/// Notes the set's size for the next run's guess; without it the guess is only coarser.
fn remember(directory: &BackupDirectory, last: Last) {
    if let Err(failure) = directory.remember(last) {
        log::warn!("{failure}");
    }
}

/// Rotates without taking a backup; gives the names of what was removed.
///
/// # Errors
/// I/O, or TryLater (75) while something else writes there.
pub(crate) fn rotate_only(args: &Args) -> Result<Vec<String>> {
    let directory = BackupDirectory::at(&args.backup_dir)?;
    let _lock = Lock::take(directory.path(), "nexus-backup --rotate-only")?;
    rotation::sweep(&directory)?;
    let removed = rotation::rotate(&directory, args)?;
    Ok(removed.iter().map(|set| set.name.to_string()).collect())
}

fn rotate(directory: &BackupDirectory, args: &Args) -> Result<Vec<String>> {
    let removed = rotation::rotate(directory, args)
        .map_err(|failure| failure.while_doing("the set is complete, but rotation failed"))?;
    Ok(removed.iter().map(|set| set.name.to_string()).collect())
}

fn done(
    name: SetName,
    path: &std::path::Path,
    written: &Written,
    removed: Vec<String>,
    began: Instant,
) -> Done {
    Done {
        set: name.to_string(),
        path: path.display().to_string(),
        bytes: written.bytes(),
        rows: written.manifest.rows(),
        tables: written.manifest.tables.len(),
        redis: written.manifest.redis.is_some(),
        usec: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        removed,
    }
}
