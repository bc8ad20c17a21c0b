//! The ledger of what was forgotten: `purge-ledger.jsonl`, one line a decision, written before the first row goes.
//!
//! It holds no content: ages, cutoffs and the names of types are in the clear, what could tell of a person (ids, tags,
//! agents) is a keyed hash. Each line's MAC covers the line before it, so that a change, a line taken out and a cut in
//! the middle show; `purge-ledger.head` beside it remembers how long it was, so that a cut at the end shows.
//!
//! A decision is *open* until a line says that it is done. Whoever is killed in between leaves it open, and the next run
//! finishes it. The same lines, read from a backup set, say what must be forgotten again after a restore.

mod asked;
mod chain;
mod draft;
mod entry;
mod file;
pub mod forgetting;
mod gone;
pub mod handover;
pub mod kept;
mod key;
mod merge;

pub use asked::{Hourly, asked_by, asked_within_the_hour};
pub use chain::{Broken, Head, Ledger, Line};
pub use draft::Draft;
pub use entry::{Decision, Done, Entry, Forget, Hashed, Hashes, Rows, TableColumns, Types, What};
pub use file::{LedgerFile, carry_out_alone, read, read_text};
pub use gone::rows_gone;
pub use key::{Key, KeyId, Keys};
pub use merge::{Merged, OfSet, Side, foreign, merge, outstanding};

nexus_cli::path_setting! {
    /// The ledger of what nexus-purge has forgotten
    LedgerPath: "purge_ledger", --"purge-ledger", "NEXUS_PURGE_LEDGER", "FILE", "/var/lib/nexus/ledger/purge-ledger.jsonl"
}
