//! Serving early: everything but the vector indexes is restored, compared and put in its place; those, which take by far the
//! longest, are built while programs work. Until then a search by meaning compares with every row: slower, and exact.

mod build;
mod deferred_indexes;

pub(crate) use build::build;

use nexus_cli::failure::{Exit, OrFail, Result};
use nexus_postgres::blocking::Control;
use nexus_restoring::post_data::Runner;
use nexus_restoring::{Restoring, archive, unbuilt};

use crate::early::deferred_indexes::{Later, Work, sort};

/// Runs the archive's last section but for the vector indexes, and notes those in the database itself.
///
/// # Errors
/// Data (65) when the archive is damaged, else the server's.
pub(crate) fn post_data(making: &mut Restoring<'_>) -> Result<()> {
    let doing = "restoring post-data";
    let script = archive::post_data_script(making)?;
    let work = sort(&script).or_fail(Exit::Data, || doing)?;
    let mut runner = Runner::new(making, false)?;
    let mut later = Vec::new();
    for work in work {
        match work {
            Work::Now(sql) => runner.run(making, &sql)?,
            Work::Later(mut statement) => {
                statement.tablespace.take_if(|_| making.without_tablespaces);
                later.push(statement);
            }
        }
    }
    note(runner.control(), &later)?;
    runner.finish(making)
}

/// Whether the database that is made has anything left to be built. Asked before it gets its place: from then on its triggers on
/// login are a person's again, and would run for a session of ours.
///
/// # Errors
/// The server's.
pub(crate) fn is_left(making: &Restoring<'_>) -> Result<bool> {
    let control = Control::open(&making.server, &making.database, making.stop)?;
    Ok(control.row("reading which indexes are to be built", unbuilt::IS_THERE, &[])?.get(0))
}

/// Writes down what is to be done later. A set that was made while something was still unbuilt has the table already.
fn note(control: &Control, later: &[Later]) -> Result<()> {
    if later.is_empty() {
        return Ok(());
    }
    let doing = "noting which indexes are to be built";
    let (schema, table) = (unbuilt::SCHEMA, unbuilt::TABLE);
    control.run(
        doing,
        &format!(
            "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE IF NOT EXISTS {table} (place integer GENERATED ALWAYS AS IDENTITY, \
             schema text, index text, statement text NOT NULL, tablespace text)"
        ),
    )?;
    let insert = format!(
        "INSERT INTO {table} (schema, index, statement, tablespace) VALUES ($1, $2, $3, $4) RETURNING place"
    );
    for Later { index, statement, tablespace } in later {
        let (schema, index) = index.as_ref().map(|(schema, index)| (schema, index)).unzip();
        control.rows(doing, &insert, &[&schema, &index, statement, tablespace])?;
    }
    Ok(())
}
