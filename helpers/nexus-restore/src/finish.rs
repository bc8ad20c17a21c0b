//! `nexus-restore finish`: completes an interrupted restore: the vector indexes, the purge ledger.

use nexus_cli::failure::Result;
use nexus_cli::output;
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_cli::text::{counted, printable};
use nexus_postgres::blocking::Control;
use nexus_postgres::server::Server;

use crate::APPLICATION;
use crate::apply::sweep;
use crate::args::FinishArgs;
use crate::early;
use crate::handover;

/// Finishes an interrupted restore.
///
/// # Errors
/// TryLater (75) while a restore is running.
pub(crate) fn run(args: &FinishArgs, stop: &Stop) -> Result<()> {
    let server = Server::from_settings(&args.server)?.named(APPLICATION);
    let database = &args.server.database;
    let control = Control::beside(&server, database, stop)?;
    sweep::lock(&control)?;
    handover::settle(&args.purge_ledger, &control)?;
    let progress = Progress::new(!args.json);
    let built = early::build(&server, database, &progress, stop);
    progress.finish();
    let built = built?;
    if args.json {
        return output::json(&serde_json::json!({ "database": database, "built": built }));
    }
    let database = printable(database);
    output::print(&match built {
        0 => format!("Database {database} has all its indexes.\n"),
        built => format!("Database {database}: {} built.\n", counted(built, "index")),
    })
}
