//! The ledger of what was forgotten, `purge-ledger.jsonl`. A decision is written there before the
//! first row is deleted.
//!
//! It contains no content of episodes. Ages, cutoffs and the names of types are in clear text;
//! personal data (ids, tags, agents) are keyed hashes. The MAC of each line covers the previous
//! one, which reveals altered and removed lines. `purge-ledger.head` beside it records its length,
//! which reveals lines that are missing at the end.
//!
//! A decision is *open* until a line records it as done. A killed run leaves it open, and the next
//! run finishes it. After a restore, the same lines in a backup set list what must be forgotten
//! again.

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
pub use file::{LedgerFile, carry_out_alone, each_line, read, read_text};
pub use gone::rows_gone;
pub use key::{Key, KeyId, Keys};
pub use merge::{Merged, OfSet, Side, foreign, merge, outstanding};

nexus_cli::path_setting! {
    /// The ledger of what nexus-purge has forgotten
    LedgerPath: "purge_ledger", --"purge-ledger", "NEXUS_PURGE_LEDGER", "FILE", "/var/lib/nexus/ledger/purge-ledger.jsonl"
}
