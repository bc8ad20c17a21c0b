//! The ledger of a restored database: this machine's merged with the set's.

use std::collections::BTreeSet;

use nexus_cli::failure::Result;
use nexus_cli::text::counted;
use nexus_digest::Digest;
use nexus_ledger::{Decision, Done, Draft, Forget, Hashes, Side, TableColumns, What, merge, read_text};
use nexus_restoring::forget::{GoneOf, Ledgers};

use crate::APPLICATION;
use crate::apply::Restore;

/// The merged ledger, and what an undo needs.
pub(crate) struct Merged {
    /// This machine's present ledger.
    pub(crate) before: Draft,
    /// The new ledger.
    pub(crate) after: Draft,
    /// The decisions that came from the set.
    pub(crate) foreign: BTreeSet<Digest>,
}

impl Merged {
    /// Returns whether the ledger changes.
    pub(crate) fn changes(&self) -> bool {
        self.before.text() != self.after.text() || !self.before.keys().are(self.after.keys())
    }
}

/// Merges the ledgers: takes the longer one, or if they have diverged, the newer one with the decisions that only the other has.
/// The restore carried out all of them, so the decisions taken over are done. The files of `tables` still hold the deleted rows:
/// an open line for each makes the next nexus-purge clean them.
pub(crate) fn merged(restore: &mut Restore<'_>, ledgers: &Ledgers, tables: &[GoneOf]) -> Result<Merged> {
    let own = ledgers.own.clone().unwrap_or_else(|| ledgers.keys.clone());
    let before = read_text(&restore.args.ledger.purge_ledger, own)?;
    let mut after = before.clone();
    let mut foreign = BTreeSet::new();
    let set = format!("set {}", restore.making.id());
    if let Some(copy) = &ledgers.copy {
        let merged = merge(before.ledger(), &copy.ledger);
        let from = if merged.wins == Side::Set { "this machine" } else { set.as_str() };
        if !merged.adopt.is_empty() {
            after = Draft::of(before.text().to_vec(), before.ledger().clone(), ledgers.keys.clone());
        }
        if merged.wins == Side::Set {
            after = Draft::of(copy.text.clone(), copy.ledger.clone(), ledgers.keys.clone());
            let open: Vec<Digest> = copy.ledger.open().into_iter().map(|line| line.mac).collect();
            for of in open {
                after.append(APPLICATION, What::Done(Done { of, rows: 0 }))?;
            }
        }
        foreign = nexus_ledger::foreign(before.ledger(), &copy.ledger);
        for line in &merged.adopt {
            let Some(decision) = line.decision() else { continue };
            let decision = Decision { adopted: line.origin(), agreed: false, ..decision.clone() };
            let by = format!("{APPLICATION}: taken over from the ledger of {from}");
            let of = after.append(&by, What::Decision(Box::new(decision)))?.mac;
            after.append(APPLICATION, What::Done(Done { of, rows: 0 }))?;
        }
        if !merged.adopt.is_empty() {
            let adopted = counted(merged.adopt.len() as u64, "decision");
            restore.making.note(format!(
                "the purge ledgers of this machine and of {set} have diverged: nexus-restore has kept the newer one, and has \
                 added {adopted} from that of {from}"
            ));
        }
    }
    let by =
        format!("{APPLICATION}: forgotten again in {set}; nexus-purge must still clean the table's files");
    for gone in tables {
        mark_for_cleaning(&mut after, &gone.table, gone.rows, &by)?;
    }
    Ok(Merged { before, after, foreign })
}

/// Appends an open line to `ledger` that names no row, so that the next nexus-purge cleans the files of `table`, which lost `rows`.
pub(crate) fn mark_for_cleaning(ledger: &mut Draft, table: &TableColumns, rows: u64, by: &str) -> Result<()> {
    let key = ledger.keys().current().id().clone();
    let forget = Forget::Keys(Hashes { key, hashes: Vec::new() });
    let decision = Decision { table: table.clone(), forget, adopted: None, found: Some(rows), agreed: false };
    ledger.append(by, What::Decision(Box::new(decision))).map(|_| ())
}
