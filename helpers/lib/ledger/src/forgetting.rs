//! Forgetting rows: where they are, which they are, who refers to them, and taking them out in small steps.
//! nexus-purge does it in the living database, a restore in the one it has just made. And asking nexus-purge to.

pub mod ask;
mod code_of_others;
mod condition;
mod erase;
mod following;
pub mod protocol;
mod references;
mod replay;
mod table;

pub use code_of_others::CodeOfOthers;
pub use condition::{RowFilter, matches};
pub use erase::{Erased, Eraser, ForgetCopies};
use nexus_cli::failure::Result;
use nexus_cli::stop::Stop;
use nexus_postgres::blocking::Control;
use nexus_postgres::server::Server;
pub use references::{Limits, OnReference, Referring, Touched, check as check_references, told};
pub use replay::{Forgetting, Replayed, Share, replay, shares};
pub use table::{Heap, Table, parse_kind, parse_table};

/// What a session that looks for rows sets: texts of keys and times are the same whatever the server's settings,
/// row-level security hides nothing without a word, and what the session waits for ends when this process does.
const PINNED: &str = "SET search_path = ''; SET row_security = off; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; \
    SET IntervalStyle = 'postgres'; SET extra_float_digits = 3; SET bytea_output = 'hex'; \
    SET client_connection_check_interval = '1s'";

/// A session for what is done here.
///
/// # Errors
/// As [`Control::open`].
pub fn session(server: &Server, database: &str, stop: &Stop) -> Result<Control> {
    let control = Control::open(server, database, stop)?;
    control.run("preparing the session", PINNED)?;
    Ok(control)
}
