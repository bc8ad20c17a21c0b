//! Backs up the purge ledger. Without it a restore on a new machine would bring back forgotten episodes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use nexus_backup_set::manifest::Ledger;
use nexus_backup_set::{LEDGER, LEDGER_KEY};
use nexus_cli::failure::{OrFailIo, Result};
use nexus_digest::Hasher;
use nexus_fs::new_file::Stored;
use nexus_ledger::{Keys, each_line};
use secrecy::ExposeSecret;

use crate::staging::Staging;

/// Counts the lines of the ledger. The caller does so before it opens the snapshot: rows that those lines record as deleted
/// are not in the set.
pub(crate) fn lines(path: &Path) -> Result<u64> {
    let mut lines = 0;
    each_line(path, |line| {
        lines += u64::from(line.ends_with(b"\n"));
        Ok(())
    })?;
    Ok(lines)
}

/// Copies the ledger and its keys into the set, after the snapshot was opened. Does not check the ledger: nexus-purge reports
/// a damaged one.
pub(crate) fn back_up(
    path: &Path,
    settled: u64,
    staging: &Staging,
    files: &mut BTreeMap<String, Stored>,
) -> Result<Option<Ledger>> {
    let mut copy = None;
    let (mut lines, mut hasher) = (0, Hasher::default());
    each_line(path, |line| {
        if !line.ends_with(b"\n") {
            return Ok(());
        }
        if copy.is_none() {
            copy = Some(staging.create_encrypted(LEDGER)?);
        }
        if let Some(copy) = &mut copy {
            copy.write_all(line).or_fail_io(|| format!("writing {LEDGER}"))?;
        }
        hasher.update(line);
        lines += 1;
        Ok(())
    })?;
    let Some(copy) = copy else { return Ok(None) };
    files.insert(LEDGER.to_owned(), copy.finish()?);
    match Keys::read() {
        Ok(keys) => {
            let text = keys.to_text();
            files.insert(
                LEDGER_KEY.to_owned(),
                staging.write_encrypted(LEDGER_KEY, text.expose_secret().as_bytes())?,
            );
        }
        // A set without the keys is better than no set: the ledger's cutoffs are readable without them.
        Err(failure) => log::warn!("{failure}. The set has the purge ledger, but not its key"),
    }
    Ok(Some(Ledger { settled, lines, sha256: hasher.finish() }))
}
