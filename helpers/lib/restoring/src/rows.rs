//! Loads rows into the new database, in the order of the backup.

use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use age::Identity;
use nexus_backup_set::manifest::Table;
use nexus_backup_set::open;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::stop::Stop;
use nexus_cli::text::{counted, printable};
use nexus_digest::{Digest, Hasher};
use nexus_postgres::raw::RawSession;

use crate::refused::{Refused, is_about_content};
use crate::{Restoring, again, parallel};

/// Loads every table. A table that the server refuses does not stop the others and is tried again
/// after them.
///
/// # Errors
/// Data (65) when a file differs from the manifest, or the server refuses a table's rows in every
/// try; errors of the server.
pub fn load(restoring: &mut Restoring<'_>) -> Result<()> {
    let set = restoring.manifest.tables.clone();
    for table in &set {
        if restoring.is_left_out(table) {
            restoring.leave_out(&table.label(), &format!(", {}", counted(table.rows, "row")));
        }
    }
    let tables = set.iter().filter(|table| !restoring.is_left_out(table)).collect();
    let refused = {
        let restoring = &*restoring;
        let identities = || restoring.unlock.identities();
        parallel::each_table(restoring, tables, identities, |identities, session, table| {
            let outcome = load_table(restoring, identities, session, table);
            match outcome {
                Err(failure) if is_about_content(&failure) => {
                    // COPY was interrupted, so this session cannot be used again.
                    *session = parallel::session(restoring)?;
                    Ok(Some(Refused::table(table, failure)))
                }
                outcome => outcome.map(|()| None),
            }
        })?
    };
    again::load(restoring, &set, refused.into_iter().flatten().collect())
}

/// Loads a table by TRUNCATE and COPY in one transaction. PostgreSQL then writes a new file from
/// start to end and does not fill free space in earlier pages. So a later read returns the rows in
/// this order (COPY, "FREEZE"; `TABLE_INSERT_SKIP_FSM` in the source).
pub(super) fn load_table(
    restoring: &Restoring<'_>,
    identities: &[Box<dyn Identity>],
    session: &mut RawSession,
    table: &Table,
) -> Result<()> {
    let doing = format!("restoring {}", printable(&table.label()));
    restoring.progress.doing(&doing);
    session.execute(&doing, "BEGIN")?;
    session.execute(&doing, &format!("TRUNCATE ONLY {}", table.qualified()))?;
    copy(restoring, identities, session, table, &table.copy_in(), |_| Ok(()))?;
    session.execute(&doing, "COMMIT")
}

/// Runs `sql`, a COPY, with the rows of `table`, and also passes each piece to `see`.
///
/// # Errors
/// Data (65) when the rows differ from the backup. Then nothing is committed, because the session
/// ends with the failure.
pub(super) fn copy(
    restoring: &Restoring<'_>,
    identities: &[Box<dyn Identity>],
    session: &mut RawSession,
    table: &Table,
    sql: &str,
    mut see: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let doing = format!("restoring {}", printable(&table.label()));
    let mut file = TableFile::open(restoring, identities, table)?;
    let copied = session
        .copy_in(&doing, sql, |buffer| {
            restoring.stop.check()?;
            let read = file.read(buffer)?;
            see(&buffer[..read])?;
            restoring.progress.advance(read as u64);
            Ok(read)
        })
        .map_err(|refusal| file.or_damaged(restoring.stop, &doing, table, refusal))?;
    let digest = file.hasher.finish();
    if digest != table.sha256 || copied.bytes != table.bytes || copied.rows != table.rows {
        return Err(Failure::new(Exit::Data, doing).because(format!(
            "{} holds {}, {}, SHA-256 {digest}; the manifest says {}, {}, {}",
            table.file,
            counted(copied.rows, "row"),
            counted(copied.bytes, "byte"),
            counted(table.rows, "row"),
            counted(table.bytes, "byte"),
            table.sha256
        )));
    }
    Ok(())
}

/// Reads the rows of a table in the set, and hashes them. It reads at most the size in the
/// manifest.
struct TableFile {
    path: PathBuf,
    input: Box<dyn Read>,
    hasher: Hasher,
    size: u64,
    left: u64,
}

impl TableFile {
    fn open(restoring: &Restoring<'_>, identities: &[Box<dyn Identity>], table: &Table) -> Result<Self> {
        let path = restoring.set.path.join(&table.file);
        let input = Box::new(open::open(&path, identities)?);
        Ok(Self { path, input, hasher: Hasher::default(), size: table.bytes, left: table.bytes })
    }

    /// Refuses excess bytes: a small file that decompresses to a disk full of zeros must not reach
    /// the server.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = read_some(&mut self.input, buffer).map_err(|cause| open::damaged(&self.path, cause))?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            let why = format!("it holds more than the {} bytes that the manifest says", self.size);
            open::damaged(&self.path, std::io::Error::other(why))
        })?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }

    /// Returns the cause of a failed COPY: damage, if the file differs from the backup, else the
    /// server's error. Damage is more serious, and may have caused the server's error.
    fn or_damaged(&mut self, stop: &Stop, doing: &str, table: &Table, refusal: Failure) -> Failure {
        match self.read_to_end(stop) {
            Err(unreadable) if unreadable.exit() == Exit::Data => unreadable,
            Ok(digest) if digest != table.sha256 => Failure::new(Exit::Data, doing)
                .because(format!("{} has SHA-256 {digest}; the manifest says {}", table.file, table.sha256))
                .advise(format!("PostgreSQL says: {refusal}")),
            _ => refusal,
        }
    }

    fn read_to_end(&mut self, stop: &Stop) -> Result<Digest> {
        let mut buffer = vec![0; 256 << 10];
        while self.read(&mut buffer)? > 0 {
            stop.check()?;
        }
        Ok(std::mem::take(&mut self.hasher).finish())
    }
}

fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_the_size_in_the_manifest_is_read() {
        let file = |size| TableFile {
            path: "data/0001.copy.zst.age".into(),
            input: Box::new(std::io::repeat(0)),
            hasher: Hasher::default(),
            size,
            left: size,
        };
        let mut buffer = [0; 64];
        let mut endless = file(100);
        assert_eq!(endless.read(&mut buffer).unwrap(), 64);
        let failure = endless.read(&mut buffer).unwrap_err();
        assert_eq!(failure.exit(), Exit::Data);
        assert!(failure.to_string().contains("more than the 100 bytes"), "{failure}");
        assert_eq!(file(1 << 20).read_to_end(&Stop::default()).unwrap_err().exit(), Exit::Data);
    }
}
