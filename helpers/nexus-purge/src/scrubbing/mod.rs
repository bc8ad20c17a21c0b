//! Overwriting the room that forgotten rows have left in the table's pages.
//!
//! VACUUM gives that room free and leaves the bytes. Here it is filled while others work: rows of filler are written into it
//! and rolled back, so no constraint, trigger or reader ever meets one, and only a few rows are locked, for some
//! milliseconds. A changed row stays in its page where there is room, so each page is filled by a row of its own; pages
//! without rows, and those with the pieces of long texts, are found by the server's own map of free room. Then the files are
//! read, to see what is left, and that is tried again.

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

/// How often the files are gone through at most.
const ROUNDS: u32 = 5;

/// From this round on room without traces is filled too, lest the server go on choosing that.
const EVERYTHING: u32 = 3;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrubbed {
    /// Bytes of filler that were written.
    pub(crate) bytes: u64,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

/// Overwrites the free room of all pages of `table`, which has just been vacuumed.
///
/// # Errors
/// The server's; what it has against a row of filler is a note.
pub(crate) fn scrub(control: &Control, table: &Table, progress: &Progress) -> Result<Scrubbed> {
    let text = filler::text();
    let mut scrubbed = Scrubbed::default();
    for heap in table.heaps() {
        let doing = format!("overwriting the free room of {}", heap.name);
        progress.doing(&doing);
        let note = |why: &str| format!("{}: {why}; nexus-purge --rewrite leaves none", heap.name);
        let Some(filler) = Filler::of(control, &heap.name)? else {
            if has_no_page(control, &heap.name, &doing)? {
                continue;
            }
            scrubbed.notes.push(note(
                "it has no row, or no column of texts without an index: its free room may hold what was forgotten",
            ));
            continue;
        };
        for number in 1..=ROUNDS {
            // So that what is in memory is in the files.
            control.run_while(&doing, "CHECKPOINT", || progress.advance(0))?;
            let mut round = Round::new(control, &filler, &text, number >= EVERYTHING, progress);
            round.through(&Files::of(control, &heap.name)?)?;
            scrubbed.bytes += round.written;
            if round.traces == 0 {
                break;
            }
            if let Some(why) = &round.refused {
                scrubbed.notes.push(note(&format!("the server refuses filler ({why})")));
                break;
            }
            if number == ROUNDS {
                scrubbed.notes.push(note(&format!("{} may hold traces", counted(round.traces, "page"))));
            }
        }
    }
    Ok(scrubbed)
}

/// Whether nothing is left of a heap, with what it keeps outside: VACUUM has given back the pages of one without rows.
fn has_no_page(control: &Control, heap: &str, doing: &str) -> Result<bool> {
    let sql = format!(
        "SELECT coalesce(pg_catalog.pg_relation_size(c.oid), 0) + \
         coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0) = 0 \
         FROM pg_catalog.pg_class c WHERE c.oid = {}::pg_catalog.regclass",
        quote::literal(heap)
    );
    Ok(control.row(doing, &sql, &[])?.get(0))
}
