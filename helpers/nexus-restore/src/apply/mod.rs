//! `nexus-restore apply`: a set becomes a database beside the living one; only when every row has been compared does it
//! take its place. Until then the living database is not touched, whatever happens.

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
use crate::apply::space::Room;
use crate::apply::watch::Watch;
use crate::args::ApplyArgs;
use crate::handing;

/// A restore that is under way.
pub(crate) struct Restore<'a> {
    args: &'a ApplyArgs,
    /// What is made, under a temporary name.
    making: Restoring<'a>,
    /// Name the database will have.
    target: String,
    /// The server's disks, where they can be seen, and who watches them.
    room: Option<Room>,
    watch: Watch,
    /// The set is not rotated away meanwhile.
    _in_use: InUse,
}

impl Restore<'_> {
    /// Does one step that is more than making the database, and takes its time.
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
/// The first failure; then the living database is as it was and nothing is left beside it.
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
    let mut restore = Restore { args, making, target, room: None, watch: Watch::default(), _in_use: in_use };
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
    handing::settle(&args.ledger.purge_ledger, &control)?;
    handing::sweep(&args.ledger.purge_ledger, &control)?;
    sweep::leftovers(&restore, &control)?;
    restore.watch = Watch::begin(restore.room.clone(), stop);
    let built = build::beside(&mut restore, &control, plan);
    let mut built = built.map_err(|failure| {
        let failure = restore.watch.explain(explain_stop(failure, &restore));
        sweep::discard(&restore);
        failure
    })?;
    // The database is in its place: from here on nothing is taken back.
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
    restore.watch = Watch::begin(restore.room.clone().filter(|_| built.is_left), stop);
    let second_step = if built.is_left { build::second_step(&mut restore)? } else { None };
    Ok(Report::of(restore, built, redis, second_step))
}

/// Every byte is moved in, and out again to compare.
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

/// A stop in the middle is said in the words of a restore.
fn explain_stop(failure: Failure, restore: &Restore<'_>) -> Failure {
    if restore.making.stop.is_by_signal() {
        Failure::new(Exit::TryLater, format!("restoring set {}: stopped by a signal", restore.making.id()))
            .advise("Nothing was replaced, what had been restored is removed again")
    } else {
        failure
    }
}
