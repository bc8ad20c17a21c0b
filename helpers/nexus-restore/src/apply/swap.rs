//! Databases change names, all in one transaction: at every moment, also after a kill, either all have the old names or
//! all have the new ones.

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

/// How often sessions that are in the way are ended.
const AGAIN: Duration = Duration::from_millis(50);

/// How often the whole is tried. Each time the server itself waits five seconds for sessions to go.
const TRIES: u32 = 4;

/// How long a server that broke off is waited for: it alone knows whether it did what it was told before.
const COMES_BACK: Duration = Duration::from_secs(60);

/// Renames each `(from, to)` in order, and runs `also` in the same transaction.
///
/// The server renames only what nobody is connected to. It takes the database's lock first, which keeps new sessions
/// waiting, and then waits for the others to go; meanwhile those are ended (`RenameDatabase` and
/// `CountOtherDBBackends` in the source).
///
/// # Errors
/// TryLater (75) when sessions would not end; nothing is renamed then. Unavailable (69) when the server broke off and does not come
/// back: then it is not known.
pub(crate) fn rename(server: &Server, moves: &[(&str, &str)], also: &str, stop: &Stop) -> Result<()> {
    let mut sql = "BEGIN; SET LOCAL lock_timeout = '30s'; ".to_owned();
    for (from, to) in moves {
        let (from, to) = (quote::identifier(from), quote::identifier(to));
        sql.push_str(&format!("ALTER DATABASE {from} RENAME TO {to}; "));
    }
    sql.push_str(&format!("{also}; COMMIT"));
    let to = moves.last().map_or("", |(_, to)| to);
    // Once it has begun it is not stopped: its outcome must be known.
    let unstoppable = Stop::default();
    let control = Control::beside(server, to, &unstoppable)?;
    let names: Vec<&str> = moves.iter().map(|(from, _)| *from).collect();
    let found = control.rows(
        DOING,
        "SELECT oid FROM pg_catalog.pg_database WHERE datname::text = ANY($1::text[]) \
         ORDER BY pg_catalog.array_position($1::text[], datname::text)",
        &[&names],
    )?;
    // By number: after the commit the name means the new one, and its sessions are to live.
    let oids: Vec<u32> = found.iter().map(|row| row.get(0)).collect();
    let mut last = String::new();
    for _ in 0..TRIES {
        stop.check()?;
        let renamer = Control::beside(server, to, &unstoppable)?;
        let outcome = thread::scope(|scope| {
            let renaming = scope.spawn(|| renamer.try_run(&sql));
            while !renaming.is_finished() {
                // Only the answer to the renaming counts.
                let _ended = control.rows(DOING, END_SESSIONS, &[&oids]);
                thread::sleep(AGAIN);
            }
            renaming.join().map_err(|_| Failure::new(Exit::Software, DOING))?
        })?;
        match outcome {
            Ok(()) => return Ok(()),
            Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => {
                last = from_client(DOING, &error).to_string();
            }
            Err(error) if broke_off(&error) && is_named(server, oids.last(), to)? => return Ok(()),
            Err(error) => return Err(from_client(DOING, &error)),
        }
    }
    Err(Failure::new(Exit::TryLater, printable(&last))
        .advise("See who is connected (pg_stat_activity) and stop those programs, then run it again"))
}

/// Whether the session ended without saying how far it was; an end from outside may come between a commit and its answer.
fn broke_off(error: &Error) -> bool {
    error.as_db_error().is_none()
        || matches!(error.code(), Some(&(SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN)))
}

/// Whether the session broke off only after the commit: the database that was to get the name has it.
fn is_named(server: &Server, oid: Option<&u32>, name: &str) -> Result<bool> {
    let sql = "SELECT datname::text = $2::text FROM pg_catalog.pg_database WHERE oid = $1";
    let until = Instant::now() + COMES_BACK;
    loop {
        let answer = Control::beside(server, name, &Stop::default())
            .and_then(|control| control.row(DOING, sql, &[&oid, &name]));
        match answer {
            Ok(row) => return Ok(row.get(0)),
            Err(failure) if failure.exit() == Exit::Unavailable && Instant::now() < until => {
                thread::sleep(AGAIN);
            }
            Err(failure) => {
                let broken = format!("{DOING}: the server broke off; whether it was done is not known");
                return Err(Failure::new(failure.exit(), broken).because(failure));
            }
        }
    }
}
