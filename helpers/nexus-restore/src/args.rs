//! What nexus-restore can be told.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use nexus_backup_set::directory::BackupDir;
use nexus_backup_set::proof::ProofsDir;
use nexus_cli::sockets::RedisSocket;
use nexus_docker_client::client::DockerSocket;
use nexus_ledger::LedgerPath;
use nexus_ledger::forgetting::Limits;
use nexus_postgres::server::ServerSettings;
use nexus_redis::copies::CopiesArgs;

/// Lists, checks and restores backup sets, with a way back
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-restore", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is to be done.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Lists the sets: when, size, tables, rows, proven or not
    List(ListArgs),
    /// Says what is in a set
    Show(ShowArgs),
    /// Checks that every file of a set is whole; needs no key
    Verify(VerifyArgs),
    /// Restores a set beside the living database, compares every row, then swaps the two
    Apply(Box<ApplyArgs>),
    /// Finishes an interrupted restore: its vector indexes, the purge ledger
    Finish(FinishArgs),
    /// Swaps back to the database that was kept
    Undo(UndoArgs),
    /// Removes a database that was kept, when it is no longer wanted
    DropKept(DropKeptArgs),
}

/// Where the sets are and how to answer.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) backup_dir: BackupDir,

    /// One JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who decrypts.
#[derive(Args, Clone, Debug)]
pub(crate) struct Key {
    /// File with the age identity to decrypt with [default: this machine's own]
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
}

/// What was forgotten, and how it is forgotten again.
#[derive(Args, Clone, Debug)]
pub(crate) struct Forgetting {
    #[command(flatten)]
    pub(crate) purge_ledger: LedgerPath,

    #[command(flatten)]
    pub(crate) limits: Limits,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) key: Key,
    #[command(flatten)]
    pub(crate) proofs_dir: ProofsDir,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ShowArgs {
    /// Number or name of the set, `latest`, or the path of its directory
    #[arg(value_name = "ID")]
    pub(crate) set: String,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) key: Key,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct VerifyArgs {
    /// Number or name of the set, `latest`, the path of its directory, or `all`
    #[arg(value_name = "ID|all")]
    pub(crate) set: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(crate) struct ApplyArgs {
    /// Number or name of the set, `latest`, or the path of its directory
    #[arg(value_name = "ID|latest|PATH")]
    pub(crate) set: String,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) key: Key,

    /// Restore into a new database of this name and leave the living one alone
    #[arg(long, value_name = "NAME")]
    pub(crate) into: Option<String>,

    /// Put it in its place once rows and keys are there and compared, and build the vector indexes while it serves:
    /// until then searches by meaning are exact, and slower
    #[arg(long)]
    pub(crate) serve_early: bool,

    /// Leave out what cannot be restored, by the name in the refusal: the rows of a table, an index, a
    /// constraint, a trigger; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "serve_early")]
    pub(crate) without: Vec<String>,

    /// search_path for rows whose constraints or generated columns call functions that name others without their schema
    /// [default: what the database's sessions had]
    #[arg(long, value_name = "SCHEMAS")]
    pub(crate) search_path: Option<String>,

    /// Do not ask before the living database is replaced
    #[arg(long)]
    pub(crate) yes: bool,

    /// Do not back up the living database before it is replaced (it is kept beside in any case)
    #[arg(long)]
    pub(crate) no_safety_backup: bool,

    /// MiB that must stay free on the server's disks, for the log of the living database; with less the restore ends
    /// [default: a twentieth of the disk, 256 to 4096]
    #[arg(long, value_name = "MIB")]
    pub(crate) reserve: Option<u64>,

    /// Leave Redis as it is
    #[arg(long)]
    pub(crate) no_redis: bool,

    /// Tables at once, 1 to 16
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) jobs: u8,

    #[command(flatten)]
    pub(crate) ledger: Forgetting,

    #[command(flatten)]
    pub(crate) redis_copies: CopiesArgs,

    #[command(flatten)]
    pub(crate) redis_socket: RedisSocket,

    #[command(flatten)]
    pub(crate) server: ServerSettings,

    #[command(flatten)]
    pub(crate) docker_socket: DockerSocket,

    /// Command to use in place of pg_restore in the container, for a server outside Compose
    #[arg(long, env = "NEXUS_PG_RESTORE", value_name = "COMMAND")]
    pub(crate) pg_restore: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct FinishArgs {
    /// One JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) purge_ledger: LedgerPath,
    #[command(flatten)]
    pub(crate) server: ServerSettings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct UndoArgs {
    /// The kept database to swap back to [default: the newest]
    #[arg(value_name = "KEPT")]
    pub(crate) kept: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// One JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) ledger: Forgetting,
    #[command(flatten)]
    pub(crate) server: ServerSettings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DropKeptArgs {
    /// The kept database, as apply, undo or this command's refusal named it
    #[arg(value_name = "KEPT")]
    pub(crate) kept: String,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// One JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) purge_ledger: LedgerPath,
    #[command(flatten)]
    pub(crate) server: ServerSettings,
}

#[cfg(test)]
mod tests {
    /// Manual page, completions, .env.example and units say what the command line says.
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<super::Cli>()
    }
}
