//! `nexus-restore apply`: a set becomes a database beside the living one; only when every row has been compared does it
//! take its place. Until then the living database is not touched, whatever happens.

mod archive;
mod build;
mod compare;
mod confirm;
pub(crate) mod names;
mod parallel;
mod preflight;
mod redis;
mod report;
mod role_plan;
mod roles;
mod rows;
mod safety;
mod space;
mod statements;
pub(crate) mod swap;
pub(crate) mod sweep;

pub(crate) use confirm::confirm;
pub(crate) use report::kept_text;

use std::time::Instant;

use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::postgres::server::Server;
use nexus_core::progress::Progress;
use nexus_core::set::directory::SetEntry;
use nexus_core::set::manifest::Manifest;
use nexus_core::stop::Stop;

use crate::apply::report::{Report, Step};
use crate::args::ApplyArgs;
use crate::server::Control;
use crate::verify;
use crate::which::{Unlock, find_set};

/// A restore that is under way.
pub(crate) struct Restore<'a> {
    args: &'a ApplyArgs,
    server: Server,
    set: SetEntry,
    manifest: Manifest,
    unlock: Unlock,
    progress: &'a Progress,
    stop: &'a Stop,
    /// Name the database will have.
    target: String,
    /// Name it has until then.
    temporary: String,
    roles_made: Vec<String>,
    notes: Vec<String>,
    steps: Vec<Step>,
}

impl Restore<'_> {
    /// Remembers something that a person should know at the end.
    fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Does one step and takes its time.
    fn step<T>(&mut self, name: &'static str, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.stop.check()?;
        self.progress.doing(name);
        let began = Instant::now();
        let outcome =
            work(self).map_err(|failure| failure.while_doing(format!("restoring set {}", self.id())))?;
        let usec = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.steps.push(Step { name, usec });
        Ok(outcome)
    }

    /// `000042`
    fn id(&self) -> String {
        format!("{:06}", self.set.name.sequence)
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
    let unlock = Unlock::with(args.key.identity.as_deref());
    let manifest = Manifest::read(&set.path, &unlock.identities()?)?;
    let server = Server::from_settings(&args.server)?;
    let temporary = names::restoring(&target, set.name.sequence);
    let mut restore = Restore {
        args,
        server,
        set,
        manifest,
        unlock,
        progress,
        stop,
        target,
        temporary,
        roles_made: Vec::new(),
        notes: Vec::new(),
        steps: Vec::new(),
    };
    let control = Control::beside(&restore.server, &restore.target, stop)?;
    let plan = preflight::check(&mut restore, &control)?;
    if let Some(question) = plan.question(&restore) {
        confirm(&question, args.yes)?;
    }
    expect_bytes(&restore);
    restore.step("check", check_files)?;
    sweep::lock(&control)?;
    sweep::leftovers(&restore, &control)?;
    let built = build::beside(&mut restore, &control, plan);
    let mut built = built.map_err(|failure| {
        let failure = explain_stop(failure, &restore);
        sweep::discard(&restore);
        failure
    })?;
    // The database is in its place: from here on nothing is taken back.
    let redis = match built.redis.take() {
        Some(mut snapshot) => {
            let outcome = restore.step("redis", |restore| redis::send(restore, &mut *snapshot));
            Some(outcome.map_err(|failure| redis::after_the_swap(&failure))?)
        }
        None => None,
    };
    Ok(Report::of(restore, built, redis))
}

/// Every byte is moved in, and out again to compare.
fn expect_bytes(restore: &Restore<'_>) {
    let rows: u64 = restore.manifest.tables.iter().map(|table| table.bytes).sum();
    restore.progress.expect(verify::size_of(&restore.set.path) + 2 * rows);
}

fn check_files(restore: &mut Restore<'_>) -> Result<()> {
    let checked = verify::check(&restore.set, restore.progress, restore.stop)?;
    let Some(first) = checked.damaged.first() else { return Ok(()) };
    let others = match checked.damaged.len() {
        1 => String::new(),
        more => format!(" (and {} more files)", more - 1),
    };
    Err(Failure::new(Exit::Data, format!("checking {}", restore.set.path.display()))
        .because(format!("{}: {}{others}", first.file, first.what))
        .advise("The set is damaged: use another one (nexus-restore verify all finds which are whole)"))
}

/// A stop in the middle is said in the words of a restore.
fn explain_stop(failure: Failure, restore: &Restore<'_>) -> Failure {
    if restore.stop.is_by_signal() {
        Failure::new(Exit::TryLater, format!("restoring set {}: stopped by a signal", restore.id()))
            .advise("Nothing was replaced, what had been restored is removed again")
    } else {
        failure
    }
}
