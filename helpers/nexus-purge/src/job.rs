//! The job: lock, look, say what would go, stop where that is too much, write the decisions, carry them out, clean up.

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

use crate::args::{Args, YesNo};
use crate::cleaning::{self, Room};
use crate::decisions::{self, Decided};
use crate::recall;
use crate::redis::Redis;
use crate::report::{Purged, Referred};
use crate::selection::{self, Selection};
use crate::survey::{Survey, survey};
use crate::{APPLICATION, preflight, reindexing};

/// How long a run waits for another one, or for a restore that is just taking the database's place.
const PATIENCE: Duration = Duration::from_secs(5);

/// The table in the living database.
pub(crate) struct Living {
    pub(crate) server: Server,
    pub(crate) control: Control,
    pub(crate) table: Table,
}

impl Living {
    /// Connects as a role that sees every row, and looks for the table.
    ///
    /// # Errors
    /// Unavailable (69) or Permission (77) of the server; Settings (78) when there is no such table.
    pub(crate) fn open(args: &Args, stop: &Stop) -> Result<Self> {
        let server = Server::from_settings(&args.server)?.named(APPLICATION);
        let control = session(&server, &args.server.database, stop)?;
        preflight::refuse_partial_sight(&control)?;
        let place = args.place();
        let table = Table::find(&control, &place, CodeOfOthers::Refused)?.ok_or_else(|| {
            Failure::new(Exit::Settings, format!("looking for table {}.{}", place.schema, place.table))
                .because(format!("database {} has no such table", args.server.database))
                .advise("Check NEXUS_PURGE_TABLE and NEXUS_PG_DATABASE in /etc/nexus/nexus.env")
        })?;
        Ok(Self { server, control, table })
    }
}

/// All that a run needs.
struct Job<'a> {
    args: &'a Args,
    server: Server,
    control: Control,
    table: Table,
    progress: &'a Progress,
    stop: &'a Stop,
}

/// What would go; nothing is written and nothing is locked.
///
/// # Errors
/// As [`run`].
pub(crate) fn dry_run(args: &Args, progress: &Progress, stop: &Stop) -> Result<Survey> {
    let job = Job::begin(args, progress, stop)?;
    let selections = job.selections(&Keys::read()?)?;
    let survey = survey(&job.control, &job.table, &selections)?;
    job.warn_of_unknown_types(&survey);
    Ok(survey)
}

/// Forgets what the rules or the person name, and what a killed run has left open.
///
/// # Errors
/// The first failure. What is gone by then stays gone, and the next run finishes what was decided.
pub(crate) fn run(args: &Args, progress: &Progress, stop: &Stop) -> Result<Purged> {
    let began = Instant::now();
    let keys = Keys::read()?;
    let _alone = nexus_ledger::carry_out_alone(&args.purge_ledger, APPLICATION, PATIENCE)?;
    // One that is damaged is known before anything is done.
    let behind = decisions::to_carry_out(args, &nexus_ledger::read(&args.purge_ledger, &keys)?);
    let job = Job::begin(args, progress, stop)?;
    let mut redis = job.redis()?;
    let selections = if args.replay { Vec::new() } else { job.selections(&keys)? };

    let survey = survey(&job.control, &job.table, &selections)?;
    job.warn_of_unknown_types(&survey);
    let agreed = job.guard(&survey)?;
    job.guard_ledger(&keys, &behind)?;
    // What a person names may be in a backup, though no row is left; a rule that touches no row needs no line.
    let selections: Vec<Selection> = selections
        .into_iter()
        .zip(&survey.by_selection)
        .filter(|(_, rows)| **rows > 0 || args.names_rows())
        .map(|(selection, _)| selection)
        .collect();
    let goes = any_of(&selections);
    check_references(&job.control, &job.table, &goes, args.limits.referring)?;

    let mut purged = Purged::default();
    if !behind.is_empty() || !selections.is_empty() {
        let probe = recall::choose(&job.control, &job.table, &goes, survey.of)?;
        if let Some(probe) = &probe {
            purged.recall_before = probe.recall(&job.control, &job.table, &goes, progress)?;
        }
        progress.expect(job.table.bytes());
        let Decided { old, new } = decisions::write(args, &keys, &selections, agreed)?;
        let hints: Vec<String> =
            selections.iter().flat_map(|selection| selection.hints.iter().cloned()).collect();
        // The old ones are looked for among all rows; what they hashed is known no more.
        let finished = job.carry_out(&keys, &old, &[], &mut redis, &mut purged)?;
        let done = job.carry_out(&keys, &new, &hints, &mut redis, &mut purged)?;
        // Of what a killed run has begun, or was forgotten at once, the copies are still in Redis's file.
        let is_in_its_file = purged.copies > 0 || !old.is_empty();
        if job.clean(redis.as_mut().filter(|_| is_in_its_file), survey.of, &old, &mut purged)? {
            // Only now: until then a killed run leaves the decision open, and the next one does all of this again.
            let rows = finished.rows.into_iter().chain(done.rows);
            decisions::are_done(args, keys, old.iter().chain(&new).zip(rows))?;
        }
        if let Some(probe) = &probe {
            purged.recall_after = probe.recall(&job.control, &job.table, "false", progress)?;
            purged.notes.extend(recall::complaint(purged.recall_before, purged.recall_after));
        }
        purged.decisions = new.len() as u64;
        purged.finished = old.len() as u64;
    }
    if let Some(redis) = &mut redis {
        purged.keys_given_an_end = redis.give_ends(&args.redis_ttl, progress, stop)?;
    }
    purged.of = survey.of;
    purged.usec = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(purged)
}

impl<'a> Job<'a> {
    fn begin(args: &'a Args, progress: &'a Progress, stop: &'a Stop) -> Result<Self> {
        progress.doing("looking at the table");
        let Living { server, control, table } = Living::open(args, stop)?;
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
            selection::of_words(self.args, &self.table, &self.control, keys, now)
        } else {
            selection::of_rules(self.args, &self.table, now)
        }
    }

    /// A rule about a type of which there is no row may be a slip of the pen.
    fn warn_of_unknown_types(&self, survey: &Survey) {
        let named = if self.args.names_rows() {
            self.args.kind.iter().cloned().collect()
        } else {
            self.args.ttl.kinds()
        };
        for kind in named.iter().filter(|kind| !survey.kinds.contains(kind)) {
            let there: Vec<String> = survey.kinds.iter().take(20).map(|kind| printable(kind)).collect();
            let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            log::warn!("no row is of type {}; the types there are: {there}", printable(kind));
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
        let mut copies_gone = 0;
        let on = self.forgetting(keys, hints);
        let began = Instant::now();
        let replayed = replay(&on, &decisions, &mut |keys| {
            if let Some(redis) = redis.as_mut() {
                copies_gone += redis.forget_copies(&prefixes, keys)?;
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
        purged.copies += copies_gone;
        Ok(replayed)
    }

    /// Cleans up the table's files, which had `of` rows, those of other tables that `old` lines are about, and Redis's, where it
    /// is given. Gives whether nothing is left to be cleaned.
    fn clean(&self, redis: Option<&mut Redis>, of: u64, old: &[Line], purged: &mut Purged) -> Result<bool> {
        let are_many = reindexing::are_many(purged.rows, of);
        let mut is_clean = self.clean_table(&self.table, are_many, purged)?;
        let mut others: Vec<&TableColumns> = Vec::new();
        for place in old.iter().filter_map(Line::decision).map(|decision| &decision.table) {
            let is_new =
                |known: &&TableColumns| (&known.schema, &known.table) != (&place.schema, &place.table);
            if [self.table.place()].iter().chain(&others).all(is_new) {
                others.push(place);
            }
        }
        for place in others {
            if let Some(table) = Table::find(&self.control, place, CodeOfOthers::Refused)? {
                preflight::refuse_unsafe_vacuum(&self.control, &table, self.args)?;
                is_clean &= self.clean_table(&table, false, purged)?;
            }
        }
        if let Some(redis) = redis {
            redis.rewrite_file(self.progress, self.stop)?;
        }
        Ok(is_clean)
    }

    fn clean_table(&self, table: &Table, are_many: bool, purged: &mut Purged) -> Result<bool> {
        let room = match (self.args.rewrite, self.args.scrub) {
            (YesNo::Yes, _) => Room::Rewritten,
            (YesNo::No, YesNo::Yes) => Room::Overwritten,
            (YesNo::No, YesNo::No) => Room::Left,
        };
        let cleaned = cleaning::clean(&self.control, table, room, are_many, self.progress)?;
        purged.given_back += cleaned.given_back;
        purged.overwritten += cleaned.overwritten;
        purged.reindexed += cleaned.reindexed;
        purged.notes.extend(cleaned.notes);
        if let Some(who) = &cleaned.held_by {
            purged.notes.push(format!(
                "{who} still sees the rows, so their pages keep them; the next run takes them out"
            ));
        }
        Ok(cleaned.held_by.is_none())
    }
}

/// The rows of all selections, in SQL.
fn any_of(selections: &[Selection]) -> String {
    if selections.is_empty() {
        return "false".to_owned();
    }
    selections.iter().map(|selection| format!("({})", selection.condition)).collect::<Vec<_>>().join(" OR ")
}
