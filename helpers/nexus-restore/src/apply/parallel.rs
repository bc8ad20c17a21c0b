//! Several tables at once, each thread with a session of its own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::postgres::raw::RawSession;
use nexus_core::set::manifest::{Table, pin_session};

use crate::apply::Restore;
use crate::server::APPLICATION;

/// Does `work` for every table of the set, the largest first, so that no thread ends long after the others. Each
/// thread begins with what `begin` gives and a session in the new database.
///
/// # Errors
/// The first failure of any; the other threads are stopped.
pub(crate) fn each_table<S, T: Send>(
    restore: &Restore<'_>,
    begin: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&S, &mut RawSession, &Table) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let mut tables: Vec<&Table> = restore.manifest.tables.iter().collect();
    tables.sort_by_key(|table| std::cmp::Reverse(table.bytes));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(tables.len()));
    let first_failure = Mutex::new(None);
    let run = || -> Result<()> {
        let state = begin()?;
        let mut session = session(restore)?;
        while let Some(table) = tables.get(next.fetch_add(1, Ordering::Relaxed)) {
            restore.stop.check()?;
            let result = work(&state, &mut session, table)?;
            done.lock().map_err(|_| panicked())?.push(result);
        }
        Ok(())
    };
    thread::scope(|scope| {
        for _ in 0..usize::from(restore.args.jobs).clamp(1, tables.len().max(1)) {
            scope.spawn(|| {
                if let Err(failure) = run() {
                    // The first is the cause; the others only fail because they are stopped.
                    if let Ok(mut first) = first_failure.lock() {
                        first.get_or_insert(failure);
                    }
                    restore.stop.because_another_failed();
                }
            });
        }
    });
    match first_failure.into_inner().map_err(|_| panicked())? {
        Some(failure) => Err(failure),
        None => done.into_inner().map_err(|_| panicked()),
    }
}

/// A session in the new database in which text and order depend on nobody's settings.
///
/// # Errors
/// The server's.
pub(crate) fn session(restore: &Restore<'_>) -> Result<RawSession> {
    let mut session = RawSession::connect(&restore.server, &restore.temporary, APPLICATION, restore.stop)?;
    session.execute("preparing the session", &pin_session(&restore.manifest.postgres.properties.encoding))?;
    Ok(session)
}

fn panicked() -> Failure {
    Failure::new(Exit::Software, "a thread of the restore panicked")
}
