//! Databases change names, all in one transaction: at every moment, also after a kill, either all have the old names or
//! all have the new ones.

use std::thread;
use std::time::Duration;

use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::postgres::failure::from_client;
use nexus_core::postgres::quote;
use nexus_core::postgres::server::Server;
use nexus_core::stop::Stop;
use tokio_postgres::error::SqlState;

use crate::server::Control;
use crate::text::printable;

/// How often sessions that are in the way are ended.
const AGAIN: Duration = Duration::from_millis(50);

/// How often the whole is tried. Each time the server itself waits five seconds for sessions to go.
const TRIES: u32 = 4;

/// Renames each `(from, to)` in order, and runs `also` in the same transaction.
///
/// The server renames only what nobody is connected to. It takes the database's lock first, which keeps new sessions
/// waiting, and then waits for the others to go; meanwhile `control` ends those (`RenameDatabase` and
/// `CountOtherDBBackends` in the source).
///
/// # Errors
/// TryLater (75) when sessions would not end; nothing is renamed then.
pub(crate) fn rename(
    server: &Server,
    control: &Control,
    moves: &[(&str, &str)],
    also: &str,
    stop: &Stop,
) -> Result<()> {
    let doing = "renaming the databases";
    let mut sql = "BEGIN; SET LOCAL lock_timeout = '30s'; ".to_owned();
    for (from, to) in moves {
        sql.push_str(&format!(
            "ALTER DATABASE {} RENAME TO {}; ",
            quote::identifier(from),
            quote::identifier(to)
        ));
    }
    sql.push_str(&format!("{also}; COMMIT"));
    let names: Vec<&str> = moves.iter().map(|(from, _)| *from).collect();
    let found =
        control.rows(doing, "SELECT oid FROM pg_catalog.pg_database WHERE datname = ANY($1)", &[&names])?;
    // By number: after the commit the name means the new one, and its sessions are to live.
    let oids: Vec<u32> = found.iter().map(|row| row.get(0)).collect();
    let mut last = None;
    for _ in 0..TRIES {
        let avoid = moves.last().map_or("", |(_, to)| to);
        // From here to its end it is not to be stopped: the answer must be known.
        let renamer = Control::beside(server, avoid, &Stop::default())?;
        let outcome = thread::scope(|scope| {
            let renaming = scope.spawn(|| renamer.try_run(&sql));
            while !renaming.is_finished() {
                end_sessions(control, &oids)?;
                thread::sleep(AGAIN);
            }
            renaming.join().map_err(|_| Failure::new(Exit::Software, doing))?
        })?;
        match outcome {
            Ok(()) => return Ok(()),
            Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => {
                last = Some(from_client(doing, &error));
            }
            Err(error) => return Err(from_client(doing, &error)),
        }
        stop.check()?;
    }
    let cause = last.map(|failure| failure.to_string()).unwrap_or_default();
    Err(Failure::new(Exit::TryLater, printable(&cause))
        .advise("See who is connected (pg_stat_activity) and stop those programs, then run it again"))
}

fn end_sessions(control: &Control, databases: &[u32]) -> Result<()> {
    let sql = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
               WHERE datid = ANY($1) AND pid <> pg_catalog.pg_backend_pid()";
    control.rows("ending the sessions of the databases", sql, &[&databases]).map(|_| ())
}
