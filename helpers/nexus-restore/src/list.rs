//! `nexus-restore list`: prints the sets, oldest first.

use std::path::Path;

use jiff::Timestamp;
use nexus_backup_set::directory::{BackupDirectory, SetEntry};
use nexus_backup_set::home::Homes;
use nexus_backup_set::locate::IdentitySource;
use nexus_backup_set::manifest::Manifest;
use nexus_backup_set::proof::{self, Verdict};
use nexus_backup_set::verify::size_of;
use nexus_cli::failure::{Exit, Result};
use nexus_cli::output;
use nexus_cli::progress::human_bytes;
use nexus_cli::text::{columns, grouped, moment};
use serde::Serialize;

use crate::args::ListArgs;

/// What is known about one set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Row {
    id: u64,
    name: String,
    taken: Timestamp,
    bytes: u64,
    /// `None` if the manifest cannot be decrypted here.
    tables: Option<usize>,
    rows: Option<u64>,
    /// Whether the manifest is damaged.
    damaged: bool,
    /// The result and time of the last restore test; `None` if there was none.
    tested: Option<Verdict>,
}

/// Prints the table.
pub(crate) fn run(args: &ListArgs) -> Result<()> {
    let directory = BackupDirectory::at(&args.common.backup_dir)?;
    // The sets were written to another directory at this path: warn, and list this one.
    if let Err(failure) = Homes::of_this_machine().require(&directory) {
        log::warn!("{failure}");
    }
    let unlock = IdentitySource::with(args.key.identity.as_deref());
    // The list works without this machine's identity. An identity on the command line must be valid.
    let identities =
        if args.key.identity.is_some() || unlock.is_there() { unlock.identities()? } else { vec![] };
    let mut rows = Vec::new();
    for set in directory.sets()? {
        let manifest = (!identities.is_empty()).then(|| Manifest::read(&set.path, &identities));
        rows.push(row_of(&set, manifest, &args.proofs_dir));
    }
    if args.common.json {
        return output::json(&serde_json::json!({ "directory": directory.path(), "sets": rows }));
    }
    if rows.is_empty() {
        return output::print(&format!(
            "No backup set in {} yet. Make the first one with: systemctl start nexus-backup\n",
            directory.path().display()
        ));
    }
    let head = ["id", "when", "size", "tables", "rows", "proven"].map(str::to_owned).to_vec();
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    output::print(&columns(&lines))
}

fn row_of(set: &SetEntry, manifest: Option<Result<Manifest>>, proofs: &Path) -> Row {
    let damaged = matches!(&manifest, Some(Err(failure)) if failure.exit() != Exit::Permission);
    let manifest = manifest.and_then(Result::ok);
    Row {
        id: set.name.sequence,
        name: set.name.to_string(),
        taken: set.name.taken,
        bytes: size_of(&set.path),
        tables: manifest.as_ref().map(|m| m.tables.len()),
        rows: manifest.as_ref().map(Manifest::rows),
        damaged,
        tested: tested(set, proofs),
    }
}

/// Reads the proof's verdict. A proof that cannot be read gives a warning, so that the list is still printed.
fn tested(set: &SetEntry, proofs: &Path) -> Option<Verdict> {
    proof::read(proofs, set.name).unwrap_or_else(|failure| {
        log::warn!("{failure}");
        None
    })
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let unknown = || if self.damaged { "damaged".to_owned() } else { "-".to_owned() };
        vec![
            format!("{:06}", self.id),
            moment(self.taken),
            human_bytes(self.bytes),
            self.tables.map_or_else(unknown, |tables| grouped(tables as u64)),
            self.rows.map_or_else(unknown, grouped),
            match &self.tested {
                None => "no".to_owned(),
                Some(verdict) if verdict.proven => moment(verdict.at),
                Some(verdict) => format!("FAILED {}", moment(verdict.at)),
            },
        ]
    }
}
