//! Processes several tables at once, each thread with its own session.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nexus_backup_set::manifest::{Table, pin_session};
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_postgres::raw::RawSession;

use crate::Restoring;

/// The schema of NEXUS's own tables, which come before all others.
const NEXUS_SCHEMA: &str = "nexus_memory";

/// Runs `work` for each of `tables`: NEXUS's own first, then the largest, so that no thread ends
/// long after the others. Each thread starts with the result of `begin` and a session in the new
/// database.
///
/// # Errors
/// The first failure of any thread, which stops the others.
pub(super) fn each_table<'t, S, T: Send>(
    restoring: &Restoring<'_>,
    mut tables: Vec<&'t Table>,
    begin: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&S, &mut RawSession, &'t Table) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    tables.sort_by_key(|table| (table.schema != NEXUS_SCHEMA, std::cmp::Reverse(table.bytes)));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(tables.len()));
    let first_failure = Mutex::new(None);
    let run = || -> Result<()> {
        let state = begin()?;
        let mut session = session(restoring)?;
        while let Some(table) = tables.get(next.fetch_add(1, Ordering::Relaxed)) {
            restoring.stop.check()?;
            let result = work(&state, &mut session, table)?;
            done.lock().map_err(|_| panicked())?.push(result);
        }
        Ok(())
    };
    thread::scope(|scope| {
        for _ in 0..usize::from(restoring.jobs).clamp(1, tables.len().max(1)) {
            scope.spawn(|| {
                if let Err(failure) = run() {
                    // The first failure is the cause; the others fail because they are stopped.
                    if let Ok(mut first) = first_failure.lock() {
                        first.get_or_insert(failure);
                    }
                    restoring.stop.because_another_failed();
                }
            });
        }
    });
    match first_failure.into_inner().map_err(|_| panicked())? {
        Some(failure) => Err(failure),
        None => done.into_inner().map_err(|_| panicked()),
    }
}

/// Opens a session in the new database, in which text and order do not depend on other settings.
///
/// # Errors
/// Errors of the server.
pub(super) fn session(restoring: &Restoring<'_>) -> Result<RawSession> {
    let mut session = RawSession::connect(
        &restoring.server,
        &restoring.database,
        restoring.server.application,
        restoring.stop,
    )?;
    session
        .execute("preparing the session", &pin_session(&restoring.manifest.postgres.properties.encoding))?;
    Ok(session)
}

fn panicked() -> Failure {
    Failure::new(Exit::Software, "a thread of the restore panicked")
}
