//! Copies a table's rows: COPY … TO STDOUT in the shared snapshot, through the pipeline, into the set.

use nexus_backup_set::manifest::{LARGE_OBJECT_QUERY, LargeObjects, Table, pin_session};
use nexus_cli::failure::{Exit, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_digest::Hasher;
use nexus_fs::new_file::Stored;
use nexus_postgres::quote;
use nexus_postgres::raw::RawSession;
use nexus_postgres::server::Server;

use crate::catalog::locks;
use crate::catalog::tables::TablePlan;
use crate::pipeline;
use crate::snapshot::{APPLICATION, Snapshot};
use crate::staging::Staging;

/// Opens a session in the shared snapshot. It locks every table at once: later it might wait behind a session that waits for
/// the snapshot's locks.
///
/// # Errors
/// TryLater (75) if another session holds an exclusive lock.
pub(crate) fn session(server: &Server, snapshot: &Snapshot, stop: &Stop) -> Result<RawSession> {
    let postgres = &snapshot.postgres;
    let mut session = RawSession::connect(server, &postgres.database, APPLICATION, stop)?;
    session.stand_back()?;
    session.execute("preparing the session", &pin_session(&postgres.properties.encoding))?;
    session.execute("preparing the session", &format!("SET lock_timeout = '{}'", locks::LOCK_TIMEOUT))?;
    session.execute(
        "joining the snapshot",
        &format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
            quote::literal(&postgres.snapshot)
        ),
    )?;
    let names: Vec<_> = snapshot.tables.iter().map(TablePlan::ascii_name).collect();
    for sql in locks::statements(&names) {
        let doing = "locking the tables of the snapshot";
        session.execute(doing, &sql).map_err(|failure| match failure.exit() {
            Exit::TryLater if !stop.is_set() => locks::held_by_another(doing),
            _ => failure,
        })?;
    }
    Ok(session)
}

/// Copies a table into the set's file number `number`.
pub(crate) fn copy_table(
    session: &mut RawSession,
    number: usize,
    plan: &TablePlan,
    staging: &Staging,
    progress: &Progress,
) -> Result<(Table, Stored)> {
    let mut table = Table {
        file: format!("data/{number:04}.copy.zst.age"),
        schema: plan.name.schema.clone(),
        table: plan.name.table.clone(),
        columns: plan.columns.clone(),
        format: plan.format,
        text_because: plan.text_because.clone(),
        rows: 0,
        bytes: 0,
        sha256: Hasher::default().finish(),
    };
    let doing = format!("dumping {}.{}", table.schema, table.table);
    progress.doing(&doing);
    let sql = table.copy_out();
    let (copied, streamed) = pipeline::run(staging.create_encrypted(&table.file)?, &table.file, |intake| {
        session.copy_out(&doing, &sql, |piece| {
            progress.advance(piece.len() as u64);
            intake.take(piece)
        })
    })?;
    table.rows = copied.rows;
    table.bytes = copied.bytes;
    table.sha256 = streamed.sha256;
    Ok((table, streamed.stored))
}

/// Computes the digest of all large objects. pg_dump's archive holds the objects themselves.
pub(crate) fn digest_large_objects(
    session: &mut RawSession,
    count: u64,
    progress: &Progress,
) -> Result<LargeObjects> {
    let doing = "reading large objects";
    progress.doing(doing);
    let mut hasher = Hasher::default();
    session.copy_out(doing, &format!("COPY ({LARGE_OBJECT_QUERY}) TO STDOUT"), |piece| {
        hasher.update(piece);
        progress.advance(0);
        Ok(())
    })?;
    Ok(LargeObjects { count, sha256: hasher.finish() })
}
