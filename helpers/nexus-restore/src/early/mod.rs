//! `--serve-early`: restores, compares and swaps everything except the vector indexes, which take by far the longest. It builds
//! them while programs use the database. Until then a search by meaning compares with every row: it is exact, and slower.

mod build;
mod deferred_indexes;

pub(crate) use build::build;

use nexus_cli::failure::{Exit, OrFail, Result};
use nexus_postgres::blocking::Control;
use nexus_restoring::post_data::Runner;
use nexus_restoring::{Restoring, archive, unbuilt};

use crate::early::deferred_indexes::{Later, Work, split_section};

/// Runs the archive's last section without the vector indexes, and records those in the database itself.
///
/// # Errors
/// Data (65) if the archive is damaged.
pub(crate) fn post_data(making: &mut Restoring<'_>) -> Result<()> {
    let doing = "restoring post-data";
    let script = archive::post_data_script(making)?;
    let work = split_section(&script).or_fail(Exit::Data, || doing)?;
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

/// Returns whether the new database still lacks indexes. The caller asks before the swap: after it the database's login
/// triggers are enabled, and would run in a session of ours.
pub(crate) fn has_unbuilt(making: &Restoring<'_>) -> Result<bool> {
    let control = Control::open(&making.server, &making.database, making.stop)?;
    Ok(control.row("looking for indexes to build", &unbuilt::is_there(), &[])?.get(0))
}

/// Records the deferred statements. A set that was backed up while indexes were still unbuilt has the table already.
fn note(control: &Control, later: &[Later]) -> Result<()> {
    if later.is_empty() {
        return Ok(());
    }
    let doing = "recording the indexes to build";
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
