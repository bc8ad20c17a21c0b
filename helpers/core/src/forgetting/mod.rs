//! Forgetting rows: where they are, which they are, who refers to them, and taking them out in small steps.
//! nexus-purge does it in the living database, a restore in the one it has just made.

mod condition;
mod erase;
mod references;
mod replay;
mod table;

pub use condition::{Plain, matches};
pub use erase::{Erased, Eraser, ForgetCopies};
pub use references::{OnReference, check as check_references};
pub use replay::{Forgetting, Replayed, replay};
pub use table::{Heap, Table, parse_kind, parse_table};
