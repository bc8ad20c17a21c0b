//! Overwrites the free space that forgotten rows have left in the table's pages.
//!
//! VACUUM frees that space and leaves its bytes. This module fills it while other sessions work: it writes filler rows and
//! rolls them back, so no constraint, trigger or reader ever meets one. It locks a few rows at a time, for milliseconds.
//! An updated row stays in its page if there is space, so a row of each page fills that page. For pages without rows, and for
//! TOAST pages, the server's free space map chooses the page. The next round reads the files again and fills what is left.

mod file;
mod filler;
mod page;
mod round;

use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_cli::text::counted;
use nexus_ledger::forgetting::Table;
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;

use file::Files;
use filler::Filler;
use round::Round;

/// The most rounds through the files.
const ROUNDS: u32 = 5;

/// From this round on it fills clean pages too, because the server may keep choosing them.
const FILLS_ALL_FROM: u32 = 3;

/// What the scrubbing has done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrubbed {
    /// Bytes of filler that were written.
    pub(crate) bytes: u64,
    /// Warnings.
    pub(crate) notes: Vec<String>,
}

/// Overwrites the free space in all pages of `table`, which has just been vacuumed. If the server refuses a filler row, a
/// note says why.
pub(crate) fn scrub(control: &Control, table: &Table, progress: &Progress) -> Result<Scrubbed> {
    let text = filler::text();
    let mut scrubbed = Scrubbed::default();
    for heap in table.heaps() {
        let doing = format!("overwriting the free space of {}", heap.name);
        progress.doing(&doing);
        let note = |why: &str| {
            format!(
                "{}: {why}; its free space may still hold forgotten text. Remove it: nexus-purge --rewrite",
                heap.name
            )
        };
        let Some(filler) = Filler::of(control, &heap.name)? else {
            if has_no_page(control, &heap.name, &doing)? {
                continue;
            }
            scrubbed.notes.push(note("the table has no row, or no text column without an index"));
            continue;
        };
        for number in 1..=ROUNDS {
            // Writes the pages in memory to the files.
            control.run_while(&doing, "CHECKPOINT", || progress.advance(0))?;
            let mut round = Round::new(control, &filler, &text, number >= FILLS_ALL_FROM, progress);
            round.run(&Files::of(control, &heap.name)?)?;
            scrubbed.bytes += round.written;
            if round.traces == 0 {
                break;
            }
            if let Some(why) = &round.refused {
                scrubbed.notes.push(note(&format!("the server refuses filler rows ({why})")));
                break;
            }
            if number == ROUNDS {
                scrubbed.notes.push(note(&format!("{} not overwritten", counted(round.traces, "page"))));
            }
        }
    }
    Ok(scrubbed)
}

/// Returns whether a heap and its TOAST table have no pages: VACUUM returns the pages of an empty one to the disk.
fn has_no_page(control: &Control, heap: &str, doing: &str) -> Result<bool> {
    let sql = format!(
        "SELECT coalesce(pg_catalog.pg_relation_size(c.oid), 0) + \
         coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0) = 0 \
         FROM pg_catalog.pg_class c WHERE c.oid = {}::pg_catalog.regclass",
        quote::literal(heap)
    );
    Ok(control.row(doing, &sql, &[])?.get(0))
}
