//! The job: locks, surveys the table, stops if too much would be deleted, records the decisions, carries them out, cleans up.

mod guard;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_cli::text::printable;
use nexus_ledger::forgetting::{
    CodeOfOthers, Forgetting, Replayed, Table, check_references, replay, session, told,
};
use nexus_ledger::{Decision, Keys, Line, TableColumns};
use nexus_postgres::blocking::Control;
use nexus_postgres::server::Server;
use nexus_postgres::visibility;

use crate::args::{Args, YesNo};
use crate::cleaning::{self, Method};
use crate::decisions::{self, Decided};
use crate::recall;
use crate::redis::Redis;
use crate::report::{Purged, Referred};
use crate::selection::{self, Selection};
use crate::survey::{Survey, survey};
use crate::{APPLICATION, preflight, reindexing};

/// How long a run waits for another run, or for a restore that is swapping the databases.
const PATIENCE: Duration = Duration::from_secs(5);

/// The table in the live database.
pub(crate) struct LiveTable {
    pub(crate) server: Server,
    pub(crate) control: Control,
    pub(crate) table: Table,
}

impl LiveTable {
    /// Connects as a role that sees every row, and finds the table.
    ///
    /// # Errors
    /// Unavailable (69) or Permission (77) of the server; Settings (78) when there is no such table.
    pub(crate) fn open(args: &Args, stop: &Stop) -> Result<Self> {
        let server = Server::from_settings(&args.server)?.named(APPLICATION);
        let control = session(&server, &args.server.database, stop)?;
        visibility::require_blocking(&control, "so row-level security could hide rows")?;
        let columns = args.columns();
        let table = Table::find(&control, &columns, CodeOfOthers::Refused)?.ok_or_else(|| {
            Failure::new(Exit::Settings, format!("looking for table {}.{}", columns.schema, columns.table))
                .because(format!("database {} has no such table", args.server.database))
                .advise("Check NEXUS_PURGE_TABLE and NEXUS_PG_DATABASE in /etc/nexus/nexus.env")
        })?;
        Ok(Self { server, control, table })
    }
}

/// A run.
struct Job<'a> {
    args: &'a Args,
    server: Server,
    control: Control,
    table: Table,
    progress: &'a Progress,
    stop: &'a Stop,
}

/// Returns what would be forgotten. Writes and locks nothing.
///
/// # Errors
/// Those of [`run`].
pub(crate) fn dry_run(args: &Args, progress: &Progress, stop: &Stop) -> Result<Survey> {
    let job = Job::begin(args, progress, stop)?;
    let selections = job.selections(&Keys::read()?)?;
    let survey = survey(&job.control, &job.table, &selections)?;
    job.warn_of_unknown_types(&survey);
    Ok(survey)
}

/// Forgets what the rules or the command line select, and carries out the open decisions.
///
/// # Errors
/// The first failure. Deleted rows stay deleted, and the next run finishes the decisions.
pub(crate) fn run(args: &Args, progress: &Progress, stop: &Stop) -> Result<Purged> {
    let began = Instant::now();
    let keys = Keys::read()?;
    let _alone = nexus_ledger::carry_out_alone(&args.purge_ledger, APPLICATION, PATIENCE)?;
    // A damaged ledger must stop the run before it does anything.
    let old_lines = decisions::to_carry_out(args, &nexus_ledger::read(&args.purge_ledger, &keys)?);
    let job = Job::begin(args, progress, stop)?;
    let mut redis = job.redis()?;
    let selections = if args.replay { Vec::new() } else { job.selections(&keys)? };

    let survey = survey(&job.control, &job.table, &selections)?;
    job.warn_of_unknown_types(&survey);
    let agreed = job.guard(&survey)?;
    job.guard_ledger(&keys, &old_lines)?;
    // A backup may still hold what a person names, even if no row is left. A rule that matches no row needs no line.
    let selections: Vec<Selection> = selections
        .into_iter()
        .zip(&survey.by_selection)
        .filter(|(_, rows)| **rows > 0 || args.names_rows())
        .map(|(selection, _)| selection)
        .collect();
    let goes = any_of(&selections);
    check_references(&job.control, &job.table, &goes, args.limits.referring)?;

    let mut purged = Purged::default();
    if !old_lines.is_empty() || !selections.is_empty() {
        let probe = recall::choose(&job.control, &job.table, &goes, survey.of)?;
        if let Some(probe) = &probe {
            purged.recall_before = probe.recall(&job.control, &job.table, &goes, progress)?;
        }
        progress.expect(job.table.bytes());
        let Decided { old, new } = decisions::write(args, &keys, &selections, agreed)?;
        let hints: Vec<String> =
            selections.iter().flat_map(|selection| selection.hints.iter().cloned()).collect();
        // Old lines hold only hashes, so every row must be compared with them.
        let finished = job.carry_out(&keys, &old, &[], &mut redis, &mut purged)?;
        let done = job.carry_out(&keys, &new, &hints, &mut redis, &mut purged)?;
        // Redis's file still holds the copies that a killed run or a single request has deleted.
        let is_in_aof = purged.copies > 0 || !old.is_empty();
        if job.clean(redis.as_mut().filter(|_| is_in_aof), survey.of, &old, &mut purged)? {
            // Last: if the run is killed before, the decisions stay open and the next run does all of this again.
            let rows = finished.rows.into_iter().chain(done.rows);
            decisions::mark_done(args, keys, old.iter().chain(&new).zip(rows))?;
        }
        if let Some(probe) = &probe {
            purged.recall_after = probe.recall(&job.control, &job.table, "false", progress)?;
            purged.notes.extend(recall::warning(purged.recall_before, purged.recall_after));
        }
        purged.decisions = new.len() as u64;
        purged.finished = old.len() as u64;
    }
    if let Some(redis) = &mut redis {
        purged.keys_given_an_end = redis.set_ttls(&args.redis_ttl, progress, stop)?;
    }
    purged.of = survey.of;
    purged.usec = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(purged)
}

impl<'a> Job<'a> {
    fn begin(args: &'a Args, progress: &'a Progress, stop: &'a Stop) -> Result<Self> {
        progress.doing("checking the table");
        let LiveTable { server, control, table } = LiveTable::open(args, stop)?;
        preflight::refuse_unsafe_vacuum(&control, &table, args)?;
        control.stand_back()?;
        Ok(Self { args, server, control, table, progress, stop })
    }

    fn redis(&self) -> Result<Option<Redis>> {
        let is_needed = !self.args.redis_copies.prefixes().is_empty() || !self.args.redis_ttl.0.is_empty();
        is_needed.then(|| Redis::connect(&self.args.redis_socket)).transpose()
    }

    fn selections(&self, keys: &Keys) -> Result<Vec<Selection>> {
        let now = Timestamp::now();
        if self.args.names_rows() {
            selection::of_arguments(self.args, &self.table, &self.control, keys, now)
        } else {
            selection::of_rules(self.args, &self.table, now)
        }
    }

    /// Warns of a rule for a type that no row has: it may be a typo.
    fn warn_of_unknown_types(&self, survey: &Survey) {
        let named = if self.args.names_rows() {
            self.args.kind.iter().cloned().collect()
        } else {
            self.args.ttl.kinds()
        };
        for kind in named.iter().filter(|kind| !survey.kinds.contains(kind)) {
            let known: Vec<String> = survey.kinds.iter().take(20).map(|kind| printable(kind)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            log::warn!("no row has the type {}; the types are: {known}", printable(kind));
        }
    }

    fn forgetting<'b>(&'b self, keys: &'b Keys, hints: &'b [String]) -> Forgetting<'b> {
        Forgetting {
            server: &self.server,
            database: &self.args.server.database,
            keys,
            hints,
            on_reference: self.args.limits.referring,
            code_of_others: CodeOfOthers::Refused,
            most_rows: self.args.batch,
            gently: true,
            progress: self.progress,
            stop: self.stop,
        }
    }

    fn carry_out(
        &self,
        keys: &Keys,
        lines: &[Line],
        hints: &[String],
        redis: &mut Option<Redis>,
        purged: &mut Purged,
    ) -> Result<Replayed> {
        let decisions: Vec<&Decision> = lines.iter().filter_map(Line::decision).collect();
        if decisions.is_empty() {
            return Ok(Replayed::default());
        }
        let prefixes = self.args.redis_copies.prefixes();
        let mut copies = 0;
        let on = self.forgetting(keys, hints);
        let began = Instant::now();
        let replayed = replay(&on, &decisions, &mut |keys| {
            if let Some(redis) = redis.as_mut() {
                copies += redis.delete_copies(&prefixes, keys)?;
            }
            Ok(())
        })?;
        purged.deleting_usec += u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        purged.rows += replayed.total();
        purged.bytes += replayed.bytes;
        purged.notes.extend(told(&replayed.referring));
        for (table, touched) in &replayed.referring {
            purged.referring.push(Referred {
                table: table.clone(),
                deleted: touched.deleted,
                emptied: touched.emptied,
            });
        }
        purged.copies += copies;
        Ok(replayed)
    }

    /// Cleans the files of the table, of the other tables in `old`, and of `redis`. The table had `total` rows. Returns whether
    /// all is clean.
    fn clean(
        &self,
        redis: Option<&mut Redis>,
        total: u64,
        old: &[Line],
        purged: &mut Purged,
    ) -> Result<bool> {
        let are_many = reindexing::are_many(purged.rows, total);
        let mut is_clean = self.clean_table(&self.table, are_many, purged)?;
        let mut others: Vec<&TableColumns> = Vec::new();
        for columns in old.iter().filter_map(Line::decision).map(|decision| &decision.table) {
            let is_new =
                |known: &&TableColumns| (&known.schema, &known.table) != (&columns.schema, &columns.table);
            if [self.table.place()].iter().chain(&others).all(is_new) {
                others.push(columns);
            }
        }
        for columns in others {
            if let Some(table) = Table::find(&self.control, columns, CodeOfOthers::Refused)? {
                preflight::refuse_unsafe_vacuum(&self.control, &table, self.args)?;
                is_clean &= self.clean_table(&table, false, purged)?;
            }
        }
        if let Some(redis) = redis {
            redis.rewrite_aof(self.progress, self.stop)?;
        }
        Ok(is_clean)
    }

    fn clean_table(&self, table: &Table, are_many: bool, purged: &mut Purged) -> Result<bool> {
        let method = match (self.args.rewrite, self.args.scrub) {
            (YesNo::Yes, _) => Method::Rewrite,
            (YesNo::No, YesNo::Yes) => Method::Scrub,
            (YesNo::No, YesNo::No) => Method::Vacuum,
        };
        let cleaned = cleaning::clean(&self.control, table, method, are_many, self.progress)?;
        purged.given_back += cleaned.given_back;
        purged.overwritten += cleaned.overwritten;
        purged.reindexed += cleaned.reindexed;
        purged.notes.extend(cleaned.notes);
        if let Some(who) = &cleaned.held_by {
            purged.notes.push(format!(
                "{who} may still see the deleted rows, so VACUUM cannot remove them yet; the next run does"
            ));
        }
        Ok(cleaned.held_by.is_none())
    }
}

/// Returns an SQL condition for the rows of all selections.
fn any_of(selections: &[Selection]) -> String {
    if selections.is_empty() {
        return "false".to_owned();
    }
    selections.iter().map(|selection| format!("({})", selection.condition)).collect::<Vec<_>>().join(" OR ")
}
