//! The steps that make the new database, in order, and put it in its place.

use std::io::Read;

use jiff::Timestamp;
use nexus_core::docker::protocol::Section;
use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::postgres::failure::from_client;
use nexus_core::postgres::quote;

use crate::apply::compare::{self, Compared};
use crate::apply::preflight::Plan;
use crate::apply::{Restore, archive, names, redis, roles, rows, safety, swap};
use crate::kept::databases;
use crate::server::Control;
use crate::text::printable;

/// The first server version with the setting `event_triggers`.
const HAS_EVENT_TRIGGERS: u32 = 170_000;

/// What came of it.
pub(crate) struct Built {
    pub(crate) compared: Compared,
    /// Name of the database that was there before.
    pub(crate) kept: Option<String>,
    /// Name of the set that was made of it.
    pub(crate) safety_backup: Option<String>,
    /// Redis's snapshot, compared and ready to be sent.
    pub(crate) redis: Option<Box<dyn Read + Send>>,
}

/// Restores beside the living database, compares, and swaps.
///
/// # Errors
/// The first step's that fails; the living database is as it was then.
pub(crate) fn beside(restore: &mut Restore<'_>, control: &Control, plan: Plan) -> Result<Built> {
    restore.step("roles", |restore| roles::restore(restore, control))?;
    restore.step("create", |restore| create(restore, control, plan))?;
    restore.step("pre-data", |restore| archive::restore(restore, Section::PreData))?;
    restore.step("rows", rows::load)?;
    restore.step("data", |restore| archive::restore(restore, Section::Data))?;
    restore.step("post-data", |restore| archive::restore(restore, Section::PostData))?;
    let compared = restore.step("compare", compare::all)?;
    restore.step("statistics", analyze)?;
    restore.step("properties", |restore| finish(restore, control, plan))?;
    let redis =
        if plan.redis { Some(restore.step("check redis", |restore| redis::check(restore))?) } else { None };
    let safety_backup = if plan.replaces && !restore.args.no_safety_backup {
        Some(restore.step("safety backup", |restore| safety::back_up(restore))?)
    } else {
        None
    };
    let kept = restore.step("swap", |restore| into_place(restore, control, plan))?;
    Ok(Built { compared, kept, safety_backup, redis })
}

/// An empty database, under its temporary name, that lets in nobody but superusers: row-level security comes last.
fn create(restore: &mut Restore<'_>, control: &Control, plan: Plan) -> Result<()> {
    let properties = &restore.manifest.postgres.properties;
    let create = properties.create_statement(&restore.temporary);
    let outcome = control.try_run(&format!("{create} CONNECTION LIMIT 0"))?;
    outcome.map_err(|error| {
        let failure = from_client("making the new database", &error);
        match error.code().map(tokio_postgres::error::SqlState::code) {
            // wrong_object_type, invalid_parameter_value: "invalid LC_COLLATE locale name", "ICU locale … unknown"
            Some("42809" | "22023") => Failure::new(Exit::CannotCreate, failure.to_string()).advise(format!(
                "The database needs encoding {} and locale {}, which the server must have",
                properties.encoding,
                properties.locale.as_ref().unwrap_or(&properties.collate)
            )),
            _ => failure,
        }
    })?;
    if plan.server_version >= HAS_EVENT_TRIGGERS {
        // A trigger on login would run for each of our sessions and could change what is compared.
        control
            .run("preparing the new database", &set_event_triggers(restore, "SET event_triggers = off"))?;
    }
    Ok(())
}

fn set_event_triggers(restore: &Restore<'_>, how: &str) -> String {
    format!("ALTER DATABASE {} {how}", quote::identifier(&restore.temporary))
}

/// Statistics for the planner: the archive holds none, and the first queries must not wait for autovacuum.
fn analyze(restore: &mut Restore<'_>) -> Result<()> {
    let control = Control::open(&restore.server, &restore.temporary, restore.stop)?;
    if let Err(error) = control.try_run("ANALYZE")? {
        let failure = from_client("gathering statistics", &error);
        restore.note(format!("{failure}. Run ANALYZE in the database by hand"));
    }
    Ok(())
}

/// Owner, comment, settings and privileges of the database itself.
fn finish(restore: &mut Restore<'_>, control: &Control, plan: Plan) -> Result<()> {
    if plan.server_version >= HAS_EVENT_TRIGGERS {
        control.run("finishing the new database", &set_event_triggers(restore, "RESET event_triggers"))?;
    }
    for statement in restore.manifest.postgres.properties.finishing_statements(&restore.temporary) {
        let Err(error) = control.try_run(&statement)? else { continue };
        let failure = from_client(printable(&format!("setting up the database: {statement}")), &error);
        match error.code().map(tokio_postgres::error::SqlState::code) {
            // undefined_object: a setting that this newer server has no more.
            Some("42704") if statement.contains(" SET ") => restore.note(failure.to_string()),
            _ => return Err(failure),
        }
    }
    Ok(())
}

/// Gives the new database its name; gives the name under which the old one is kept.
fn into_place(restore: &mut Restore<'_>, control: &Control, plan: Plan) -> Result<Option<String>> {
    let taken = databases(control)?;
    let sequence = restore.set.name.sequence;
    let kept = plan
        .replaces
        .then(|| names::free(&taken, Timestamp::now(), |at| names::before(&restore.target, sequence, at)));
    let mut moves = Vec::new();
    if let Some(kept) = &kept {
        moves.push((restore.target.as_str(), kept.as_str()));
    }
    moves.push((restore.temporary.as_str(), restore.target.as_str()));
    let limit = format!(
        "ALTER DATABASE {} CONNECTION LIMIT {}",
        quote::identifier(&restore.target),
        restore.manifest.postgres.properties.connection_limit
    );
    swap::rename(&restore.server, &moves, &limit, restore.stop)?;
    Ok(kept)
}
