//! `nexus-restore apply`: restores a set into a database beside the live one, compares every row, then swaps the two. Until the
//! swap the live database is not changed.

mod build;
pub(crate) mod forget;
pub(crate) mod merged;
pub(crate) mod names;
mod preflight;
mod redis;
mod report;
mod safety;
mod space;
pub(crate) mod swap;
pub(crate) mod sweep;
mod watch;

pub(crate) use nexus_cli::confirm::confirm;
pub(crate) use report::kept_text;

use std::time::Instant;

use nexus_backup_set::in_use::{self, InUse};
use nexus_backup_set::locate::{IdentitySource, find_set};
use nexus_backup_set::manifest::Manifest;
use nexus_backup_set::verify::{require_whole, size_of};
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_docker_client::protocol;
use nexus_postgres::blocking::Control;
use nexus_postgres::server::Server;
use nexus_restoring::{Restoring, Tool, Wanted};

use crate::APPLICATION;
use crate::apply::report::Report;
use crate::apply::space::ServerDisks;
use crate::apply::watch::Watch;
use crate::args::ApplyArgs;
use crate::handover;

/// A restore in progress.
pub(crate) struct Restore<'a> {
    args: &'a ApplyArgs,
    /// The new database, under a temporary name.
    making: Restoring<'a>,
    /// The database's final name.
    target: String,
    /// The server's disks, if they are visible from here.
    disks: Option<ServerDisks>,
    watch: Watch,
    /// Keeps rotation from removing the set.
    _in_use: InUse,
}

impl Restore<'_> {
    /// Runs one step of the restore and measures its duration.
    fn step<T>(&mut self, name: &str, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.making.stop.check()?;
        self.making.progress.doing(name);
        let began = Instant::now();
        let outcome = work(self)
            .map_err(|failure| failure.while_doing(format!("restoring set {}", self.making.id())))?;
        self.making.took(name, began);
        Ok(outcome)
    }
}

/// Restores a set.
///
/// # Errors
/// The first failure. Before the swap it leaves the live database unchanged, and removes the new one.
pub(crate) fn run(args: &ApplyArgs, stop: &Stop) -> Result<()> {
    let progress = Progress::new(!args.common.json);
    let outcome = carry_out(args, &progress, stop);
    progress.finish();
    let report = outcome?;
    report.log();
    report.print(args.common.json)
}

fn carry_out(args: &ApplyArgs, progress: &Progress, stop: &Stop) -> Result<Report> {
    let target = args.into.clone().unwrap_or_else(|| args.server.database.clone());
    preflight::check_name(&target)?;
    let set = find_set(&args.common.backup_dir, &args.set)?;
    let unlock = IdentitySource::with(args.key.identity.as_deref());
    let manifest = Manifest::of(&set, &unlock.identities()?)?;
    let server = Server::from_settings(&args.server)?.named(APPLICATION);
    let making = Restoring {
        server,
        database: names::restoring(&target, set.name.sequence),
        set,
        manifest,
        unlock,
        tool: tool(args),
        jobs: args.jobs,
        wanted: Wanted { without: args.without.clone(), search_path: args.search_path.clone() },
        progress,
        stop,
        without_tablespaces: false,
        trees: Vec::new(),
        roles_made: Vec::new(),
        notes: Vec::new(),
        steps: Vec::new(),
    };
    let in_use = in_use::hold(&making.set.path)?;
    let mut restore = Restore { args, making, target, disks: None, watch: Watch::default(), _in_use: in_use };
    let control = Control::beside(&restore.making.server, &restore.target, stop)?;
    let plan = preflight::check(&mut restore, &control)?;
    if let Some(question) = plan.question(&restore) {
        confirm(&question, args.yes)?;
    }
    expect_bytes(&restore);
    restore
        .making
        .step("check", |making| require_whole(&making.set, &making.manifest, making.progress, making.stop))?;
    sweep::lock(&control)?;
    handover::settle(&args.ledger.purge_ledger, &control)?;
    handover::sweep(&args.ledger.purge_ledger, &control)?;
    sweep::leftovers(&restore, &control)?;
    restore.watch = Watch::begin(restore.disks.clone(), stop);
    let built = build::beside(&mut restore, &control, plan);
    let mut built = built.map_err(|failure| {
        let failure = restore.watch.explain(explain_stop(failure, &restore));
        sweep::discard(&restore);
        failure
    })?;
    // The database is in place: from here on nothing is undone.
    if let Some(ledger) = &mut built.ledger {
        ledger.hand_over()?;
    }
    let redis = match built.redis.take() {
        Some(mut snapshot) => {
            let forgotten = &built.forgotten;
            let outcome = restore.step("redis", |restore| redis::send(restore, &mut *snapshot, forgotten));
            Some(outcome.map_err(|failure| redis::after_the_swap(&failure))?)
        }
        None => None,
    };
    drop(built.ledger.take());
    restore.watch = Watch::begin(restore.disks.clone().filter(|_| built.has_unbuilt), stop);
    let second_step = if built.has_unbuilt { build::second_step(&mut restore)? } else { None };
    Ok(Report::of(restore, built, redis, second_step))
}

/// Sets the progress's total: each byte is read from the set, loaded, and read back for the comparison.
fn expect_bytes(restore: &Restore<'_>) {
    let rows = restore.making.manifest.bytes();
    restore.making.progress.expect(size_of(&restore.making.set.path).saturating_add(rows.saturating_mul(2)));
}

fn tool(args: &ApplyArgs) -> Tool {
    match &args.pg_restore {
        Some(command) => Tool::Command(command.clone()),
        None => Tool::Docker { socket: args.docker_socket.to_path_buf(), server: protocol::Server::Live },
    }
}

/// Replaces the failure with one that names the signal, if a signal stopped the restore.
fn explain_stop(failure: Failure, restore: &Restore<'_>) -> Failure {
    if restore.making.stop.is_by_signal() {
        Failure::new(Exit::TryLater, format!("restoring set {}: stopped by a signal", restore.making.id()))
            .advise("Nothing was replaced, and the partial restore is removed")
    } else {
        failure
    }
}
