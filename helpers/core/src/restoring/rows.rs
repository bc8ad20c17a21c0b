//! Rows into the new database, in the order in which they were read.

use std::io::{ErrorKind, Read};

use age::Identity;

use crate::failure::{Exit, Failure, Result};
use crate::postgres::raw::RawSession;
use crate::restoring::{Restoring, parallel};
use crate::set::hashing::Hasher;
use crate::set::manifest::Table;
use crate::set::open;
use crate::text::printable;

/// Loads every table.
///
/// # Errors
/// Data (65) when a file does not hold what the manifest says; else the server's.
pub fn load(making: &mut Restoring<'_>) -> Result<()> {
    let making = &*making;
    let identities = || making.unlock.identities();
    parallel::each_table(making, identities, |identities, session, table| {
        load_table(making, identities, session, table)
    })
    .map(|_| ())
}

/// TRUNCATE and COPY in one transaction: PostgreSQL then writes to a new file from its beginning to its end, without
/// looking for free room in earlier pages, so that reading it again gives the rows in this order (COPY, "FREEZE";
/// `TABLE_INSERT_SKIP_FSM` in the source).
fn load_table(
    making: &Restoring<'_>,
    identities: &[Box<dyn Identity>],
    session: &mut RawSession,
    table: &Table,
) -> Result<()> {
    let name = printable(&format!("{}.{}", table.schema, table.table));
    let doing = format!("restoring {name}");
    making.progress.doing(&doing);
    session.execute(&doing, "BEGIN")?;
    session.execute(&doing, &format!("TRUNCATE ONLY {}", table.qualified()))?;
    let path = making.set.path.join(&table.file);
    let mut input = open::open(&path, identities)?;
    let mut hasher = Hasher::default();
    let copied = session.copy_in(&doing, &table.copy_in(), |buffer| {
        making.stop.check()?;
        let read = read_some(&mut input, buffer).map_err(|cause| open::damaged(&path, cause))?;
        hasher.update(&buffer[..read]);
        making.progress.advance(read as u64);
        Ok(read)
    })?;
    let digest = hasher.finish();
    if digest != table.sha256 || copied.bytes != table.bytes || copied.rows != table.rows {
        // Nothing was committed: the session ends with this failure.
        return Err(Failure::new(Exit::Data, doing).because(format!(
            "{} holds {} rows, {} bytes, SHA-256 {digest}; the manifest says {} rows, {} bytes, {}",
            table.file, copied.rows, copied.bytes, table.rows, table.bytes, table.sha256
        )));
    }
    session.execute(&doing, "COMMIT")
}

fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
