//! Renames databases in one transaction: at every moment, also after a kill, either all have their old names or all have their
//! new ones.

use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::stop::Stop;
use nexus_cli::text::printable;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;
use nexus_postgres::server::Server;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

const DOING: &str = "renaming the databases";

const END_SESSIONS: &str = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
    WHERE datid = ANY($1) AND pid <> pg_catalog.pg_backend_pid()";

/// The time between two attempts to end sessions, or to reconnect.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// How many times to try the renaming. In each, the server itself waits five seconds for sessions to end.
const TRIES: u32 = 4;

/// How long to wait for the server after the connection was lost: only the server knows whether it committed.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// Renames each `(from, to)` in order, and runs `also` in the same transaction.
///
/// The server renames only a database without sessions. It locks the database first, so that new sessions wait, and then waits
/// for the others to end. Meanwhile this function ends those (`RenameDatabase` and `CountOtherDBBackends` in the source).
///
/// # Errors
/// TryLater (75) if sessions did not end; then nothing is renamed. Unavailable (69) if the connection was lost and the server does
/// not come back; then the outcome is unknown.
pub(crate) fn rename(server: &Server, moves: &[(&str, &str)], also: &str, stop: &Stop) -> Result<()> {
    let mut sql = "BEGIN; SET LOCAL lock_timeout = '30s'; ".to_owned();
    for (from, to) in moves {
        let (from, to) = (quote::identifier(from), quote::identifier(to));
        sql.push_str(&format!("ALTER DATABASE {from} RENAME TO {to}; "));
    }
    sql.push_str(&format!("{also}; COMMIT"));
    let to = moves.last().map_or("", |(_, to)| to);
    // Never stopped once it has begun: its outcome must be known.
    let unstoppable = Stop::default();
    let control = Control::beside(server, to, &unstoppable)?;
    let names: Vec<&str> = moves.iter().map(|(from, _)| *from).collect();
    let found = control.rows(
        DOING,
        "SELECT oid FROM pg_catalog.pg_database WHERE datname::text = ANY($1::text[]) \
         ORDER BY pg_catalog.array_position($1::text[], datname::text)",
        &[&names],
    )?;
    // By OID: after the commit the name means the new database, whose sessions must not end.
    let oids: Vec<u32> = found.iter().map(|row| row.get(0)).collect();
    let mut last = String::new();
    for _ in 0..TRIES {
        stop.check()?;
        let renamer = Control::beside(server, to, &unstoppable)?;
        let outcome = thread::scope(|scope| {
            let renaming = scope.spawn(|| renamer.try_run(&sql));
            while !renaming.is_finished() {
                // A failure here shows in the renaming's outcome.
                let _ended = control.rows(DOING, END_SESSIONS, &[&oids]);
                thread::sleep(RETRY_INTERVAL);
            }
            renaming.join().map_err(|_| Failure::new(Exit::Software, DOING))?
        })?;
        match outcome {
            Ok(()) => return Ok(()),
            Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => {
                last = from_client(DOING, &error).to_string();
            }
            Err(error) if connection_lost(&error) && has_name(server, oids.last(), to)? => return Ok(()),
            Err(error) => return Err(from_client(DOING, &error)),
        }
    }
    Err(Failure::new(Exit::TryLater, printable(&last)).advise(
        "See who is connected (pg_stat_activity) and stop those programs, then run the command again",
    ))
}

/// Returns whether the session ended with an unknown outcome: it may have ended between the commit and its reply.
fn connection_lost(error: &Error) -> bool {
    error.as_db_error().is_none()
        || matches!(error.code(), Some(&(SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN)))
}

/// Returns whether the transaction was committed: then the database has its new name.
fn has_name(server: &Server, oid: Option<&u32>, name: &str) -> Result<bool> {
    let sql = "SELECT datname::text = $2::text FROM pg_catalog.pg_database WHERE oid = $1";
    let until = Instant::now() + RECONNECT_TIMEOUT;
    loop {
        let answer = Control::beside(server, name, &Stop::default())
            .and_then(|control| control.row(DOING, sql, &[&oid, &name]));
        match answer {
            Ok(row) => return Ok(row.get(0)),
            Err(failure) if failure.exit() == Exit::Unavailable && Instant::now() < until => {
                thread::sleep(RETRY_INTERVAL);
            }
            Err(failure) => {
                let broken =
                    format!("{DOING}: the connection was lost, and whether they were renamed is unknown");
                return Err(Failure::new(failure.exit(), broken).because(failure));
            }
        }
    }
}
