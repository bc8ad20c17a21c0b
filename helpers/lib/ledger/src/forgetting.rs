//! Finds and deletes rows to forget, and rows that refer to them, in small steps. nexus-purge does
//! it in the live database, and a restore in the one that it has just created. Also a client that
//! asks nexus-purge to forget an episode.

pub mod ask;
mod code_of_others;
mod condition;
mod erase;
mod following;
pub mod protocol;
mod references;
mod replay;
mod table;
mod touched;

pub use code_of_others::{CodeOfOthers, is_schema_trusted};
pub use condition::{RowFilter, matches};
pub use erase::{Erased, Eraser, ForgetCopies};
use nexus_cli::failure::Result;
use nexus_cli::stop::Stop;
use nexus_postgres::blocking::Control;
use nexus_postgres::server::Server;
pub use references::{Limits, OnReference, Referring, Touched, check as check_references, told};
pub use replay::{Forgetting, Replayed, Share, replay, shares};
pub use table::{Heap, Table, parse_kind, parse_table};

/// The settings of a session that looks for rows. Keys and times have the same text with any
/// settings of the server. Each statement sees the catalogs as they are then. Row-level security
/// raises an error instead of hiding rows. A statement ends when this process ends. Compiling the
/// queries of the catalogs (jit) would take longer than running them.
const PINNED: &str = "SET search_path = ''; SET row_security = off; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; \
    SET IntervalStyle = 'postgres'; SET extra_float_digits = 3; SET bytea_output = 'hex'; SET jit = off; \
    SET default_transaction_isolation = 'read committed'; SET client_connection_check_interval = '1s'";

/// Opens a session for forgetting.
///
/// # Errors
/// Those of [`Control::open`].
pub fn session(server: &Server, database: &str, stop: &Stop) -> Result<Control> {
    let control = Control::open(server, database, stop)?;
    control.run("preparing the session", PINNED)?;
    Ok(control)
}
