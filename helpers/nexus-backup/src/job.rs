//! The backup job: lock the directory, sweep it, check the space, write the set, publish it, rotate.

use std::time::Instant;

use age::x25519::Recipient;
use nexus_backup_set::directory::{BackupDirectory, Last};
use nexus_backup_set::home::Homes;
use nexus_backup_set::keys;
use nexus_backup_set::manifest::{BareNames, LeftOut};
use nexus_backup_set::name::SetName;
use nexus_backup_set::size::Size;
use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_docker_client::client::Client;
use nexus_fs::lock::Lock;
use nexus_ledger::rows_gone;
use nexus_postgres::blocking::runtime;
use nexus_postgres::server::Server;
use serde::Serialize;

use crate::archive::Tools;
use crate::args::Args;
use crate::ledger;
use crate::redis;
use crate::retry::{self, GiveWay};
use crate::rotation;
use crate::snapshot::Snapshot;
use crate::space;
use crate::staging::{Staging, sweep};
use crate::write::{self, Written};

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    /// Name of the set.
    pub(crate) set: String,
    /// Path of the set.
    pub(crate) path: String,
    /// Size of the set's files, in bytes.
    pub(crate) bytes: u64,
    /// Number of rows in all tables.
    pub(crate) rows: u64,
    /// Number of tables.
    pub(crate) tables: usize,
    /// Whether the set holds Redis's snapshot.
    pub(crate) redis: bool,
    /// Why the set lacks Redis's snapshot, although it was wanted.
    pub(crate) redis_missing: Option<String>,
    /// What the server has and the set lacks.
    pub(crate) left_out: Option<LeftOut>,
    /// Objects that need a search_path when the set is restored.
    pub(crate) bare_names: Vec<BareNames>,
    /// Duration of the run, in microseconds.
    pub(crate) usec: u64,
    /// Names of the sets that rotation removed.
    pub(crate) removed: Vec<String>,
}

/// Writes one set and rotates.
///
/// # Errors
/// The first failure. The backup directory then has no new set, and the old sets are unchanged.
pub(crate) fn run(args: &Args, progress: &Progress, stop: &Stop) -> Result<Summary> {
    let began = Instant::now();
    let homes = Homes::of_this_machine();
    let directory = open(args, &homes)?;
    let _lock = Lock::take(directory.path(), "nexus-backup")?;
    let highest = homes.enter(&directory, args.new_directory)?;
    sweep(&directory)?;
    directory.began()?;
    let recipients = keys::recipients(&args.recipients)?;

    let server = Server::from_settings(&args.server)?;
    let Unpublished { name, staging, written, stored_bytes, forgotten } =
        retry::with_retries(progress, stop, |stop, give_way| {
            attempt(args, progress, stop, give_way, &directory, highest, &recipients, &server, began)
        })?;

    progress.doing("publishing");
    stop.check()?;
    let path = staging.publish(&written.files)?;
    directory.finished()?;
    let bytes = written.bytes();
    let last = Last { sequence: name.sequence, database_bytes: stored_bytes, set_bytes: bytes };
    remember(&homes, &directory, name, last);
    let removed = rotate(&directory, args, Some((name, size_of(&written, forgotten))))?;
    Ok(summary(name, &path, &written, removed, began))
}

/// A set that is not published yet.
struct Unpublished {
    name: SetName,
    staging: Staging,
    written: Written,
    stored_bytes: u64,
    /// Rows forgotten before the snapshot, by the ledger.
    forgotten: u64,
}

/// Takes one snapshot and writes its set.
#[expect(clippy::too_many_arguments, reason = "one caller; a struct would only rename them")]
fn attempt(
    args: &Args,
    progress: &Progress,
    stop: &Stop,
    give_way: GiveWay,
    directory: &BackupDirectory,
    highest: u64,
    recipients: &[Recipient],
    server: &Server,
    began: Instant,
) -> Result<Unpublished> {
    let docker = Client::at(&args.docker_socket).stopping(stop);
    let tools =
        Tools::choose(server.clone(), &docker, args.pg_dump.as_deref(), args.pg_dumpall.as_deref(), stop)?;
    let redis = redis::inspect(args.redis, &args.redis_socket)?;

    progress.doing("opening the snapshot");
    // One runtime per try: dropping it ends the try's sessions and releases their locks.
    let runtime = runtime()?;
    let settled = ledger::lines(&args.purge_ledger)?;
    let forgotten = rows_gone(&args.purge_ledger, None)?;
    let snapshot = runtime.block_on(Snapshot::open(server))?;
    let stored_bytes = snapshot.stored_bytes();
    space::measure(directory.path(), stored_bytes, directory.last()?)?.require(directory.path())?;
    progress.expect(stored_bytes);

    let name = SetName::new(directory.next_sequence(highest)?, snapshot.taken);
    let staging = Staging::create(directory.path(), name, recipients.to_vec(), args.zstd_level)?;
    let written = write::contents(write::Job {
        args,
        server,
        tools: &tools,
        staging: &staging,
        progress,
        stop,
        name,
        redis,
        snapshot,
        settled,
        runtime: &runtime,
        began,
        give_way,
    })?;
    Ok(Unpublished { name, staging, written, stored_bytes, forgotten })
}

/// Opens the backup directory. Refuses one that sets were not written to, unless the owner accepts a new one.
///
/// # Errors
/// Settings (78) if there is no directory, or another one, at the path.
pub(crate) fn open(args: &Args, homes: &Homes) -> Result<BackupDirectory> {
    let directory = BackupDirectory::at(&args.backup_dir)?;
    if !args.new_directory {
        homes.require(&directory)?;
    }
    Ok(directory)
}

/// Records the set's number and size for the next run. A failure here is only logged: the set is complete.
fn remember(homes: &Homes, directory: &BackupDirectory, name: SetName, last: Last) {
    let in_directory = directory.remembered().and_then(|mut remembered| {
        remembered.last = last;
        directory.remember(&remembered)
    });
    for noted in [in_directory, homes.published(directory, name)] {
        if let Err(failure) = noted {
            log::warn!("{failure}");
        }
    }
}

fn size_of(written: &Written, forgotten: u64) -> Size {
    let tables = written.manifest.tables.iter();
    Size::of(tables.map(|table| (table.schema.as_str(), table.table.as_str(), table.rows)), forgotten)
}

/// Rotates without taking a backup; returns the names of the removed sets.
///
/// # Errors
/// TryLater (75) while another program holds the directory's lock; I/O.
pub(crate) fn rotate_only(args: &Args) -> Result<Vec<String>> {
    let homes = Homes::of_this_machine();
    let directory = open(args, &homes)?;
    let _lock = Lock::take(directory.path(), "nexus-backup --rotate-only")?;
    homes.enter(&directory, args.new_directory)?;
    sweep(&directory)?;
    let removed = rotation::rotate(&directory, args, None)?;
    Ok(removed.iter().map(|set| set.name.to_string()).collect())
}

/// Accepts that the newest set holds less than older ones; returns its name.
///
/// # Errors
/// Usage (64) if there is no set; Settings (78) if the directory is not the known one; TryLater (75); I/O.
pub(crate) fn accept_smaller(args: &Args) -> Result<SetName> {
    let directory = open(args, &Homes::of_this_machine())?;
    let _lock = Lock::take(directory.path(), "nexus-backup --accept-smaller")?;
    rotation::accept_smaller(&directory)
}

fn rotate(directory: &BackupDirectory, args: &Args, new: Option<(SetName, Size)>) -> Result<Vec<String>> {
    let removed = rotation::rotate(directory, args, new)
        .map_err(|failure| failure.while_doing("the set is complete, but rotation failed"))?;
    Ok(removed.iter().map(|set| set.name.to_string()).collect())
}

fn summary(
    name: SetName,
    path: &std::path::Path,
    written: &Written,
    removed: Vec<String>,
    began: Instant,
) -> Summary {
    Summary {
        set: name.to_string(),
        path: path.display().to_string(),
        bytes: written.bytes(),
        rows: written.manifest.rows(),
        tables: written.manifest.tables.len(),
        redis: written.manifest.redis.is_some(),
        bare_names: written.manifest.bare_names.clone(),
        left_out: written.manifest.left_out.clone(),
        redis_missing: written.manifest.redis_missing.clone(),
        usec: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        removed,
    }
}
