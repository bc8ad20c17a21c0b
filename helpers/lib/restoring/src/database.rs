//! Creates the empty database, and finally sets the properties that CREATE DATABASE does not cover.

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::printable;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;

use crate::Restoring;

/// The first version of the server with the setting `event_triggers`.
const HAS_EVENT_TRIGGERS: u32 = 170_000;

/// Creates an empty database that only superusers may connect to, because row-level security is
/// restored last.
///
/// # Errors
/// CannotCreate (73) when the server lacks the locale; errors of the server.
pub fn create(restoring: &mut Restoring<'_>, control: &Control, server_version: u32) -> Result<()> {
    let properties = &restoring.manifest.postgres.properties;
    let create = properties.create_statement(&restoring.database);
    let outcome = control.try_run(&format!("{create} CONNECTION LIMIT 0"))?;
    outcome.map_err(|error| {
        let failure = from_client("creating the new database", &error);
        match error.code().map(tokio_postgres::error::SqlState::code) {
            // wrong_object_type, invalid_parameter_value: "invalid LC_COLLATE locale name", "ICU
            // locale … unknown"
            Some("42809" | "22023") => Failure::new(Exit::CannotCreate, failure.to_string()).advise(format!(
                "The database needs encoding {} and locale {}, which the server must have",
                properties.encoding,
                properties.locale.as_ref().unwrap_or(&properties.collate)
            )),
            _ => failure,
        }
    })?;
    if server_version >= HAS_EVENT_TRIGGERS {
        // A login trigger would run for each of our sessions and could change the data to compare.
        control
            .run("preparing the new database", &set_event_triggers(restoring, "SET event_triggers = off"))?;
    }
    Ok(())
}

fn set_event_triggers(restoring: &Restoring<'_>, how: &str) -> String {
    format!("ALTER DATABASE {} {how}", quote::identifier(&restoring.database))
}

/// Collects statistics for the planner: the archive contains none, and the first queries must not
/// wait for autovacuum.
///
/// # Errors
/// Errors of the server when no session can be opened.
pub fn analyze(restoring: &mut Restoring<'_>) -> Result<()> {
    let control = Control::open(&restoring.server, &restoring.database, restoring.stop)?;
    if let Err(error) = control.try_run("ANALYZE")? {
        let failure = from_client("gathering statistics", &error);
        restoring.note(format!("{failure}. Run ANALYZE in the database by hand"));
    }
    Ok(())
}

/// Sets the owner, comment, settings and privileges of the database.
///
/// # Errors
/// Errors of the server.
pub fn finish(restoring: &mut Restoring<'_>, control: &Control, server_version: u32) -> Result<()> {
    if server_version >= HAS_EVENT_TRIGGERS {
        control.run("finishing the new database", &set_event_triggers(restoring, "RESET event_triggers"))?;
    }
    for statement in restoring.manifest.postgres.properties.finishing_statements(&restoring.database) {
        let Err(error) = control.try_run(&statement)? else { continue };
        let failure = from_client(printable(&format!("setting up the database: {statement}")), &error);
        match error.code().map(tokio_postgres::error::SqlState::code) {
            // undefined_object: a setting that this newer server no longer has.
            Some("42704") if statement.contains(" SET ") => restoring.note(failure.to_string()),
            _ => return Err(failure),
        }
    }
    Ok(())
}
