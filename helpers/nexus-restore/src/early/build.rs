//! The second step: builds the vector indexes, one after the other, while programs read and write.

use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_cli::text::printable;
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;
use nexus_postgres::server::Server;
use nexus_restoring::unbuilt;
use tokio_postgres::Row;

/// Settings of the session. It waits for other writers without a limit. If this program ends, the server notices within a
/// second and stops building. Event triggers of the database's owner do not run for these statements.
const SESSION_SETTINGS: &str = "SELECT pg_catalog.set_config(name, 'off', false) FROM pg_catalog.pg_settings WHERE name = 'event_triggers'; SET client_min_messages = warning; SET lock_timeout = 0; SET client_connection_check_interval = '1s'; SET default_transaction_read_only = off";

/// Reads `indisvalid`, and whether it is an index of a partitioned table, which is valid only once all its parts are attached.
const STATE: &str = "SELECT i.indisvalid, c.relkind = 'I' FROM pg_catalog.pg_index i \
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE i.indexrelid = pg_catalog.to_regclass($1)";

/// Builds the indexes that the database records as unbuilt; returns their number. After an interruption it can run again: it
/// skips an index that exists, and rebuilds one that is incomplete.
///
/// # Errors
/// TryLater (75) if stopped. The database then still records the rest.
pub(crate) fn build(server: &Server, database: &str, progress: &Progress, stop: &Stop) -> Result<u64> {
    let control = Control::open(server, database, stop)?;
    let doing = "reading the list of indexes to build";
    if !control.row(doing, &unbuilt::is_there(), &[])?.get::<_, bool>(0) {
        return Ok(0);
    }
    control.run(doing, SESSION_SETTINGS)?;
    let table = unbuilt::TABLE;
    let list = format!("SELECT place, schema, index, statement, tablespace FROM {table} ORDER BY place");
    let mut built = 0;
    for row in control.rows(doing, &list, &[])? {
        built += u64::from(build_one(&control, &row, progress)?);
        control.rows(
            doing,
            &format!("DELETE FROM {table} WHERE place = $1 RETURNING place"),
            &[&row.get::<_, i32>(0)],
        )?;
    }
    control
        .run("removing the list of indexes to build", &format!("DROP SCHEMA {} CASCADE", unbuilt::SCHEMA))?;
    Ok(built)
}

/// Runs one statement; returns whether it built an index.
fn build_one(control: &Control, row: &Row, progress: &Progress) -> Result<bool> {
    let (schema, index): (Option<String>, Option<String>) = (row.get(1), row.get(2));
    let statement: String = row.get(3);
    let (Some(schema), Some(index)) = (schema, index) else {
        control.run("finishing an index", &statement)?;
        return Ok(false);
    };
    let name = quote::qualified(&schema, &index);
    let doing = format!("building index {}", printable(&name));
    progress.doing(&doing);
    match control.rows(&doing, STATE, &[&name])?.first().map(|row| (row.get(0), row.get(1))) {
        Some((true, _) | (_, true)) => return Ok(false),
        Some((false, false)) => control.run(&doing, &format!("DROP INDEX CONCURRENTLY {name}"))?,
        None => {}
    }
    let tablespace = quote::literal(&row.get::<_, Option<String>>(4).unwrap_or_default());
    control.run(&doing, &format!("SET default_tablespace = {tablespace}"))?;
    control.run_while(&doing, &concurrently(&statement), || progress.advance(0))?;
    Ok(true)
}

/// Makes `CREATE INDEX` concurrent, except with `ON ONLY`: PostgreSQL cannot create an index of a partitioned table concurrently.
fn concurrently(statement: &str) -> String {
    let rest = statement.strip_prefix("CREATE INDEX ").filter(|rest| !rest.contains(" ON ONLY "));
    rest.map_or_else(|| statement.to_owned(), |rest| format!("CREATE INDEX CONCURRENTLY {rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_built_concurrently_except_on_a_partitioned_table() {
        assert_eq!(
            concurrently("CREATE INDEX a ON b.c USING hnsw (d)"),
            "CREATE INDEX CONCURRENTLY a ON b.c USING hnsw (d)"
        );
        let part = "CREATE INDEX a ON ONLY b.c USING hnsw (d)";
        assert_eq!(concurrently(part), part);
    }
}
