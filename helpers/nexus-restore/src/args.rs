//! The command line and settings of nexus-restore.

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

/// Lists, checks and restores backup sets, and can undo a restore
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-restore", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The command to run.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Lists the sets: time, size, tables, rows, proven or not
    List(ListArgs),
    /// Shows what a set holds
    Show(ShowArgs),
    /// Checks that every file of a set is whole; needs no key
    Verify(VerifyArgs),
    /// Restores a set beside the live database, compares every row, then swaps the two
    Apply(Box<ApplyArgs>),
    /// Finishes an interrupted restore: builds its vector indexes and puts its purge ledger in place
    Finish(FinishArgs),
    /// Swaps back to the database that a restore has replaced
    Undo(UndoArgs),
    /// Removes a replaced database that NEXUS still keeps
    DropKept(DropKeptArgs),
}

/// Where the sets are, and the output's format.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) backup_dir: BackupDir,

    /// Print one JSON object to standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// The key that decrypts.
#[derive(Args, Clone, Debug)]
pub(crate) struct Key {
    /// File with the age identity to decrypt with [default: this machine's own]
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
}

/// What was forgotten, and how to forget it again.
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

    /// Restore into a new database of this name and leave the live one alone
    #[arg(long, value_name = "NAME")]
    pub(crate) into: Option<String>,

    /// Swap once rows and keys are restored and compared, and build the vector indexes while programs use the database:
    /// until they are built, searches by meaning are exact but slower
    #[arg(long)]
    pub(crate) serve_early: bool,

    /// Leave out what cannot be restored, by the name in the error message: the rows of a table, an index, a
    /// constraint, a trigger; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "serve_early")]
    pub(crate) without: Vec<String>,

    /// search_path to use while rows are loaded, for constraints and generated columns whose functions use names
    /// without a schema [default: the search_path of the database's sessions]
    #[arg(long, value_name = "SCHEMAS")]
    pub(crate) search_path: Option<String>,

    /// Replace the live database without asking
    #[arg(long)]
    pub(crate) yes: bool,

    /// Do not back up the live database before replacing it (it is kept in any case)
    #[arg(long)]
    pub(crate) no_safety_backup: bool,

    /// Space to leave free on the server's disks for the log of the live database, in MiB; the restore stops when
    /// less is free [default: a twentieth of the disk, 256 to 4096]
    #[arg(long, value_name = "MIB")]
    pub(crate) reserve: Option<u64>,

    /// Leave Redis as it is
    #[arg(long)]
    pub(crate) no_redis: bool,

    /// Tables to restore at once, 1 to 16
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
    /// Print one JSON object to standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) purge_ledger: LedgerPath,
    #[command(flatten)]
    pub(crate) server: ServerSettings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct UndoArgs {
    /// Name of the kept database to swap back to [default: the newest]
    #[arg(value_name = "KEPT")]
    pub(crate) kept: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print one JSON object to standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) ledger: Forgetting,
    #[command(flatten)]
    pub(crate) server: ServerSettings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DropKeptArgs {
    /// Name of the kept database, as apply and undo print it; a wrong name lists them all
    #[arg(value_name = "KEPT")]
    pub(crate) kept: String,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print one JSON object to standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) purge_ledger: LedgerPath,
    #[command(flatten)]
    pub(crate) server: ServerSettings,
}

#[cfg(test)]
mod tests {
    /// The manual page, the completions, .env.example and the units agree with the command line.
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<super::Cli>()
    }
}
